"""`python -m eenas` is the command `eenas`."""

from eenas.cli.main import main

if __name__ == "__main__":
    main()

"""The command `eenas`, which is also `python -m eenas`."""

import signal


def main() -> None:
    """Run the command. While its modules are loaded, Ctrl-C ends the process at once and without a traceback."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from eenas.cli.main import main as run

    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()

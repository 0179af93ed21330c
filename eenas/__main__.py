"""The command `eenas`, which is also `python -m eenas`."""

import atexit
import signal


def main() -> None:
    """Run the command.

    While its modules are loaded, Ctrl-C ends the process at once and without a traceback. So do Ctrl-C and SIGTERM
    after the command, while libraries tidy up.
    """
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from eenas.cli.main import main as run

    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        atexit.register(_end_at_once)  # the last one that is registered is the first one that runs


def _end_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the process as they do without Python, unless they are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()

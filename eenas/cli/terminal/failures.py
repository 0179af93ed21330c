"""Failures of a verb: one line on stderr and an exit status, and a traceback only on request."""

import errno
import functools
import inspect
import logging
import signal
import traceback
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from eenas import user_code
from eenas.cli.terminal.console import err, say
from eenas.cli.terminal.pages import page_of
from eenas.errors import EenasError, TimeOverError
from eenas.faults import interrupt_of, machine_fault
from eenas.masking import masked, secrets_of
from eenas.study.interrupts import repeat_swallowed

WRONG_INPUT = 2
OUR_MISTAKE = 1
INTERRUPTED = 130
LONGEST = 2000
"""The maximum number of characters shown of an error, which may come from a library."""
TERMINATED = 143
TIME_OVER = 124
"""The exit status of `timeout` in the coreutils, too."""

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks, and warnings of libraries.")]


class Terminated(KeyboardInterrupt):
    """SIGTERM was received, for example from a scheduler. A verb ends as on Ctrl-C."""


def end_on_sigterm() -> None:
    """Make SIGTERM raise `Terminated` in this process. It and Ctrl-C are repeated if a finalizer swallows them."""

    def end(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    repeat_swallowed(lambda error: signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


def status_of(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status of a command that this interrupt ended."""
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb with a `--debug` flag, and with errors printed as lines.

    Exit status 2 and `error: ...` for an EenasError and for faults of the machine; 124 if the time limit of a search
    expired before a trial finished; 130 for Ctrl-C and 143 for SIGTERM. An error or `sys.exit` in the user's own code
    has exit status 2 and names the line; any other error is a bug in eenas, with exit status 1.
    """

    @functools.wraps(verb)
    def run(*arguments: Any, debug: bool = False, **options: Any) -> None:
        if not debug:
            warnings.simplefilter("ignore")
        secrets = secrets_of(str(options.get("storage") or ""))
        try:
            verb(*arguments, **options)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except (KeyboardInterrupt, Exception, SystemExit) as error:
            if (interrupt := interrupt_of(error)) is not None:
                what = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
                _end(f"{what}; rerun the same command to continue from the finished steps", status_of(interrupt))
            if isinstance(error, TimeOverError):
                _end(_line(error), TIME_OVER, debug, secrets)
            if isinstance(error, EenasError):
                _end(f"error: {_line(error)}", WRONG_INPUT, debug, secrets, page_of(error))
            if (place := _own_code(error)) is not None:
                text = f"error: {place} failed: {type(error).__name__}: {masked(_line(error), secrets)}"
                _end(f"{text}; fix this code and rerun the command", WRONG_INPUT, debug, secrets)
            if isinstance(error, SystemExit):
                raise
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of a pipe has closed it; typer exits quietly
            if (fault := machine_fault(error)) is not None:
                _end(f"error: {_line(fault)}", WRONG_INPUT, debug, secrets)
            text = f"error: unexpected {type(error).__name__}: {masked(_line(error), secrets)} ({_place(error)})"
            _end(f"{text}; please report it with the output of --debug", OUR_MISTAKE, debug, secrets)

    signature = inspect.signature(verb)
    flag = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), flag])  # type: ignore[attr-defined]
    run.__annotations__ = {**verb.__annotations__, "debug": Debug}
    return run


def quiet_storage() -> None:
    """Silence the log lines of Optuna and its dashboard. The records and our own output contain this information.

    SQLAlchemy logs tracebacks of connections that Ctrl-C interrupts.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("optuna_dashboard", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def one_of(**given: object) -> str | None:
    """Return the name of the one flag that was given, or None. Raises EenasError if there are two."""
    names = [name for name, value in given.items() if value is not None and value is not False]
    if len(names) > 1:
        flags = " and ".join("--" + name.replace("_", "-") for name in names)
        raise EenasError(f"{flags} are mutually exclusive; use only one")
    return names[0] if names else None


def _end(text: str, status: int, debug: bool = False, secrets: Collection[str] = (), page: str | None = None) -> None:
    """End with a line and a status. In a terminal, a second line names the page; a log gets one line per error."""
    if debug:
        err().print(masked(traceback.format_exc(), secrets), soft_wrap=True)
    say(text)
    if page is not None and err().is_terminal:
        say(f"see docs: {page}")
    raise typer.Exit(status)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _own_code(error: BaseException) -> str | None:
    """Return the line of the user's file in which an error was raised, or None if it was raised in eenas below it.

    Imports in the user's files go through `eenas.user_code`, whose lines do not count as eenas's.
    """
    names = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [index for index, name in enumerate(names) if name.split(".")[0] == "eenas" and name != user_code.__name__]
    ours = max(own, default=-1)
    users = max((index for index, name in enumerate(names) if name.startswith(user_code.PREFIX)), default=-1)
    if users <= ours:
        return None
    frame = traceback.extract_tb(error.__traceback__)[users]
    return f"{frame.filename}:{frame.lineno}, in {frame.name},"


def _place(error: BaseException) -> str:
    """Return the last line of eenas in the traceback, or its last line if none is of eenas."""
    frames = traceback.extract_tb(error.__traceback__)
    home = Path(__file__).parents[1]
    own = [frame for frame in frames if home in Path(frame.filename).parents and frame.filename != __file__]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"

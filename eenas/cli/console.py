"""What the command line prints on: tables and JSON on stdout; progress, hints and errors on stderr."""

import os
import shlex
import time
from collections.abc import Sequence

import typer
from rich.console import Console

BEGAN = time.monotonic()
"""When the command began."""

WIDTH = 100
"""Tables are drawn for so many columns at most, and for exactly so many where the output is no terminal."""


def out() -> Console:
    """The console on stdout. rich leaves colours out where it is no terminal, or where NO_COLOR is set."""
    return _console(stderr=False)


def err() -> Console:
    """The console on stderr."""
    return _console(stderr=True)


def say(text: str) -> None:
    """One line for the reader on stderr, taken as it is."""
    err().print(text, markup=False, highlight=False, soft_wrap=True)


def write(text: str) -> None:
    """Text for a script on stdout, such as JSON or CSV, without wrapping or colour."""
    typer.echo(text.rstrip("\n"))


def suggest(verb: str, *arguments: str, **options: object) -> None:
    """Print the next sensible command on stderr; options that are None or False are left out."""
    say(f"next: {command(verb, arguments, options)}")


def command(verb: str, arguments: Sequence[str] = (), options: dict[str, object] | None = None) -> str:
    """A command line as one would type it: options {"max_macs": 0.5} of "train" give "eenas train --max-macs 0.5"."""
    words = ["eenas", verb, *arguments]
    for name, value in (options or {}).items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return shlex.join(words)


def is_first_process() -> bool:
    """Whether this process is to speak: under torchrun only the first one does."""
    return os.environ.get("RANK", "0") == "0"


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    return console

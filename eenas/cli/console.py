"""What the command line prints on: tables and JSON on stdout; progress, hints and errors on stderr.

Everything passes through `Screen` or `write`, which show what a user's text holds and obey none of it.
"""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from eenas.escaping import json_for_terminal, one_line, visible
from eenas.masking import masked

BEGAN = time.monotonic()
"""When the command began."""

WIDTH = 100
"""Tables are drawn for so many columns at most, and for exactly so many where the output is no terminal."""


class Screen(Console):
    """A console of rich on which texts, those in tables included, are taken letter by letter.

    Markup and emoji codes are text, controls of terminals are shown as escapes, passwords in URLs are masked.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options}, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, without the spaces with which it fills lines where nobody sees them."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))
        self.file.flush()

    def render_str(self, text: str, **options: Any) -> Text:
        """Where every text becomes something to draw."""
        return super().render_str(plain(text), **options)


def plain(text: str) -> str:
    """A text as the terminal may have it: no control is obeyed, no password shown."""
    return visible(masked(text))


def out() -> Screen:
    """The console on stdout. rich leaves colours out where it is no terminal, or where NO_COLOR is set."""
    return _console(stderr=False)


def err() -> Screen:
    """The console on stderr."""
    return _console(stderr=True)


def say(text: str) -> None:
    """One line for the reader on stderr, taken as it is."""
    err().print(one_line(text), soft_wrap=True)


def write(text: str) -> None:
    """Text for a script on stdout, such as CSV, without wrapping or colour; a terminal gets no controls from it."""
    typer.echo((visible(text) if sys.stdout.isatty() else text).rstrip("\n"))


def write_json(text: str) -> None:
    """JSON for a script on stdout; what a terminal would obey or could not write is escaped as JSON does."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    typer.echo(json_for_terminal(text, ascii_only=not encoding.startswith("utf")).rstrip("\n"))


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


def replace_what_cannot_be_written() -> None:
    """Let stdout and stderr write a `?` for what their encoding lacks, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")


def _console(*, stderr: bool) -> Screen:
    console = Screen(stderr=stderr)
    if not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    return console

"""Output of the command line: tables and JSON on stdout; progress, hints and errors on stderr.

All output passes through `Screen` or `write`, which escape control characters in user text.
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
"""The start time of the command."""

WIDTH = 100
"""The maximum width of tables in columns. It is the exact width if the output is not a terminal."""


class Screen(Console):
    """A rich console that prints texts literally, including those in tables.

    Markup and emoji codes are printed as text, terminal controls as escapes, and passwords in URLs are masked.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options}, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, without trailing spaces if the output is not a terminal."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))
        self.file.flush()

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a text for rendering. Every text passes through this method."""
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """Return a text with terminal controls escaped and passwords masked."""
    return visible(masked(text))


def out() -> Screen:
    """Return the console on stdout. rich uses no colours if it is not a terminal or NO_COLOR is set."""
    return _console(stderr=False)


def err() -> Screen:
    """Return the console on stderr."""
    return _console(stderr=True)


def say(text: str) -> None:
    """Print one line of text on stderr, literally."""
    err().print(one_line(text), soft_wrap=True)


def write(text: str) -> None:
    """Print text for scripts on stdout, such as CSV, without wrapping or colour. A terminal gets no control codes."""
    typer.echo((visible(text) if sys.stdout.isatty() else text).rstrip("\n"))


def write_json(text: str) -> None:
    """Print JSON for scripts on stdout. Terminal controls and characters outside the encoding are JSON escapes."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    typer.echo(json_for_terminal(text, ascii_only=not encoding.startswith("utf")).rstrip("\n"))


def suggest(verb: str, *arguments: str, **options: object) -> None:
    """Print the suggested next command on stderr. Options that are None or False are omitted."""
    say(f"next: {command(verb, arguments, options)}")


def command(verb: str, arguments: Sequence[str] = (), options: dict[str, object] | None = None) -> str:
    """Return a command line. Options {"max_macs": 0.5} of "train" give "eenas train --max-macs 0.5"."""
    words = ["eenas", verb, *arguments]
    for name, value in (options or {}).items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return shlex.join(words)


def is_first_process() -> bool:
    """Whether this process prints. Under torchrun, only the first one does."""
    return os.environ.get("RANK", "0") == "0"


def replace_unencodable() -> None:
    """Make stdout and stderr write `?` for characters that their encoding lacks, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")


def _console(*, stderr: bool) -> Screen:
    console = Screen(stderr=stderr)
    if not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    return console

"""Errors of graph files, which start with the name of the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eenas.archives import shortened_path
from eenas.errors import SpecError, TaskError
from eenas.escaping import one_line


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Raise TaskError, with the name of the file, for a TaskError or SpecError of the block."""
    try:
        yield
    except (SpecError, TaskError) as error:
        text = str(error)
        named = text.startswith(str(path))
        raise TaskError(text if named else f"{shown_file(path)}: {text}") from None


def shown_file(path: Path) -> str:
    """Return a path for a message, in one line and shortened if long."""
    return one_line(str(shortened_path(path)))

"""Bounds on what comes from outside, held before it is believed: bytes, nesting, values, numbers and texts."""

import errno
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eenas.errors import EenasError, SpecError
from eenas.escaping import shortened

MOST_TOML = 1_000_000
"""Bytes of a TOML file, which is read in Python."""
MOST_JSON = 64_000_000
"""Bytes of a JSON file."""
MOST_ROW = 256_000_000
"""Characters of a row of a database."""
MOST_VALUES = 2_000_000
"""Values in one JSON text; each takes up to some hundred bytes once it is read."""
DEEPEST = 40
"""Tables and lists inside each other."""
LONGEST_KEY = 500
"""Characters of a key."""
WIDEST = 63
"""Bits of an integer."""
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, AssertionError)
"""What code raises that reads a table whose values are not what they were when it was written."""

_DOTTED = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
_NESTING = re.compile(r"""[\[\]{}]|"(?:[^"\\\n]|\\.)*+\"""")
_FIX = "give a file that eenas or its documentation describes"


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file, at most `most`. Raises SpecError for a longer one, a pipe or a device; OSError."""
    check_regular(path)
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise SpecError(f"{path}: has more than {most:,} bytes; {_FIX}")
    return data


def check_regular(path: Path) -> None:
    """Raise OSError where there is no file or a folder, SpecError for a pipe or a device, which may block."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise SpecError(f"{path}: is no regular file; {_FIX}")


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML text as a table of plain values. Raises SpecError; the caller says where the text stands."""
    if _DOTTED.search(text):
        raise SpecError(f"holds a key of more than {DEEPEST} parts; shorten it")
    _check_depth(text)
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise SpecError(f"is nested more than {DEEPEST} deep; flatten it") from None
    except ValueError as error:  # a number with too many digits is one, too
        raise SpecError(f"not valid TOML: {shortened_error(error)}") from None
    check_values(table, finite=False)
    return table


def parse_json(text: str | bytes, *, most: int = MOST_JSON, finite: bool = True) -> Any:
    """A JSON text as plain values within all bounds; with `finite` no number is infinite or NaN.

    Raises SpecError; the caller says where the text stands.
    """
    if not isinstance(text, str | bytes):
        raise SpecError(f"must be a JSON text, got {shortened(text)}")
    if len(text) > most:
        raise SpecError(f"has more than {most:,} bytes; {_FIX}")
    if sum(text.count(mark) if isinstance(text, str) else text.count(mark.encode()) for mark in ",[{") > MOST_VALUES:
        raise SpecError(f"holds more than {MOST_VALUES:,} values; {_FIX}")
    _check_depth(text if isinstance(text, str) else text.decode("latin-1"))
    try:
        value = json.loads(text)
    except RecursionError:
        raise SpecError(f"is nested more than {DEEPEST} deep; {_FIX}") from None
    except ValueError as error:
        raise SpecError(f"not valid JSON: {shortened_error(error)}") from None
    check_values(value, finite=finite, nul=True)
    return value


def read_json(path: str | Path, *, finite: bool = True) -> Any:
    """What a JSON file holds, within all bounds: see `parse_json`.

    Raises SpecError when it is missing, unreadable or not JSON; the caller adds what to give instead.
    """
    file = Path(path)
    try:
        return parse_json(read_file(file, MOST_JSON), finite=finite)
    except OSError as error:
        raise SpecError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise SpecError(f"{shortened(str(file))}: not a path ({error})") from None
    except SpecError as error:
        raise SpecError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from None


def check_values(value: Any, *, finite: bool = True, nul: bool = False) -> None:
    """Raise SpecError for nesting, integers, numbers, texts and types beyond the bounds, wherever they stand in it.

    A text that may become a path holds no NUL; with `nul` texts may.
    """
    level: list[Any] = [value]
    for depth in range(DEEPEST + 2):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                for key in item:
                    _check_text(key, LONGEST_KEY, nul=nul)
                below += item.values()
            elif isinstance(item, list | tuple):
                below += item
            else:
                _check_leaf(item, finite=finite, nul=nul)
        if not below:
            return
        if depth == DEEPEST:
            break
        level = below
    raise SpecError(f"is nested more than {DEEPEST} deep; {_FIX}")


@contextmanager
def damage_as(kind: type[EenasError], where: str, fix: str) -> Iterator[None]:
    """Whatever reading a kept table raises because it is not what was written becomes one error that says where."""
    try:
        yield
    except DAMAGE as error:
        raise kind(f"{where}: is not whole ({type(error).__name__}: {shortened_error(error)}); {fix}") from error


def shortened_error(error: BaseException) -> str:
    """The first line of an error's text, cut off."""
    lines = [line.strip() for line in str(error)[:2000].splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a parser follows it with the stack of the process, as far as brackets tell."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for found in _NESTING.finditer(text):
        mark = found[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > DEEPEST:
            raise SpecError(f"is nested more than {DEEPEST} deep; {_FIX}")


def _check_leaf(item: Any, *, finite: bool, nul: bool) -> None:
    if isinstance(item, str):
        _check_text(item, None, nul=nul)
    elif isinstance(item, int):
        if item.bit_length() > WIDEST:
            raise SpecError(f"integers have at most {WIDEST} bits, got {shortened(item)}; give a smaller one")
    elif isinstance(item, float):
        if finite and not math.isfinite(item):
            raise SpecError(f"numbers must be finite, got {item}; give a number")
    elif item is not None:
        raise SpecError(f"dates and times are no values here, got {shortened(item)}; give text, a number or a table")


def _check_text(text: Any, longest: int | None, *, nul: bool) -> None:
    if not isinstance(text, str):
        raise SpecError(f"keys must be text, got {shortened(text)}; give text")
    if longest is not None and len(text) > longest:
        raise SpecError(f"keys have at most {longest} characters, got {shortened(text)}; shorten it")
    if "\0" in text and not nul:
        raise SpecError(f"texts must hold no NUL, got {shortened(text)}; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SpecError(f"texts must hold no lone surrogates, got {shortened(text)}; write it anew") from None

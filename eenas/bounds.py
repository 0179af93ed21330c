"""Bounds on external data, checked before use: bytes, nesting, values, numbers, texts and the keys of tables."""

import errno
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eenas.errors import EenasError, SpecError, nearest
from eenas.escaping import one_line, shortened

MOST_TOML = 1_000_000
"""The largest number of bytes of a TOML file, whose parser is pure Python."""
MOST_JSON = 64_000_000
"""The largest number of bytes of a JSON file."""
MOST_ROW = 256_000_000
"""The largest number of characters of a database row."""
MOST_VALUES = 2_000_000
"""The largest number of values in a JSON text. Each takes up to a few hundred bytes of memory."""
DEEPEST = 40
"""The deepest nesting of tables and lists."""
LONGEST_KEY = 500
"""The largest number of characters of a key."""
LONGEST_SHOWN = 120
"""The largest number of characters of a key in a message."""
WIDEST = 63
"""The largest number of bits of an integer, beside its sign."""
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, AssertionError)
"""The exceptions of code that reads a damaged table."""

_DOTTED = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
_NESTING = re.compile(r"""[\[\]{}]|"(?:[^"\\\n]|\\.)*+\"""")
_FIX = "give a file that eenas or its documentation describes"


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file.

    Raises SpecError for more than `most` bytes, a pipe or a device, and OSError if the file cannot be read.
    """
    check_regular(path)
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise SpecError(f"{path}: must have at most {most:,} bytes; {_FIX}")
    return data


def check_regular(path: Path) -> None:
    """Raise OSError if there is no file or it is a folder, SpecError for a pipe or a device, which can block."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise SpecError(f"{path}: not a regular file; {_FIX}")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML text to a table of plain values. Raises SpecError; the caller adds the origin of the text."""
    if _DOTTED.search(text):
        raise SpecError(f"a key has more than {DEEPEST} parts; shorten it")
    _check_depth(text)
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise SpecError(f"nested more than {DEEPEST} levels deep; flatten it") from None
    except ValueError as error:  # also raised for a number with too many digits
        raise SpecError(f"not valid TOML: {shortened_error(error)}") from None
    check_values(table, finite=False)
    return table


def parse_toml_value(text: str) -> Any:
    """Parse a text to one TOML value; a bare word is the text itself. Raises SpecError; the caller adds the origin."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except (ValueError, RecursionError) as error:  # a number with too many digits, or deep nesting
        raise SpecError(f"{shortened_error(error)}; give a plain value") from None
    check_values(value, finite=False)
    return value


def parse_json(text: str | bytes, *, most: int = MOST_JSON, finite: bool = True) -> Any:
    """Parse a JSON text to plain values within all bounds. `finite` refuses infinity and NaN.

    Raises SpecError; the caller adds the origin of the text.
    """
    if not isinstance(text, str | bytes):
        raise SpecError(f"must be a JSON text, got {shortened(text)}")
    if len(text) > most:
        raise SpecError(f"must have at most {most:,} bytes; {_FIX}")
    if sum(text.count(mark) if isinstance(text, str) else text.count(mark.encode()) for mark in ",[{") > MOST_VALUES:
        raise SpecError(f"must hold at most {MOST_VALUES:,} values; {_FIX}")
    _check_depth(text if isinstance(text, str) else text.decode("latin-1"))
    try:
        value = json.loads(text)
    except RecursionError:
        raise SpecError(f"nested more than {DEEPEST} levels deep; {_FIX}") from None
    except ValueError as error:
        raise SpecError(f"not valid JSON: {shortened_error(error)}") from None
    check_values(value, finite=finite, nul=True)
    return value


def read_json(path: str | Path, *, finite: bool = True) -> Any:
    """Read a JSON file within all bounds; see `parse_json`.

    Raises SpecError if it is missing, unreadable or not JSON; the caller adds the fix.
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
    """Raise SpecError for nesting, integers, numbers, texts and types beyond the bounds, at any depth.

    `nul` allows NUL characters in texts, which must not become paths.
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
    raise SpecError(f"nested more than {DEEPEST} levels deep; {_FIX}")


def check_keys(
    table: Any,
    known: Collection[str],
    needed: Collection[str] = (),
    *,
    file: str = "",
    key: str = "",
    error: type[EenasError] = SpecError,
    kind: str = "the table",
) -> None:
    """Raise `error` unless `table` is a table whose keys are `known`, with all that are `needed` among them.

    Messages begin with `file` and `key`, the origin of the table, or with its `kind` if it has none.
    """
    where = located(file, key) or kind
    if not isinstance(table, Mapping):
        raise error(f"{where}: must be a table, got {shortened(table)}")
    for name in table:
        if name not in known:
            inner = f"{key}.{name}" if key else str(name)
            raise error(f"{located(file, inner)}: unknown key; {nearest(str(name), known)}")
    for name in needed:
        if name not in table:
            raise error(f"{where}: the key {name!r} is missing; add it")


def located(file: str, key: str) -> str:
    """Return the origin of a value for a message: "file: [key]", one of the two, or nothing."""
    shown = f"[{shown_key(key)}]" if key else ""
    return f"{file}: {shown}" if file and key else file or shown


def shown_key(key: str) -> str:
    """Return a key for a message: in one line, shortened if long."""
    return one_line(key if len(key) <= LONGEST_SHOWN else f"{key[:LONGEST_SHOWN]}...")


@contextmanager
def damage_as(kind: type[EenasError], where: str, fix: str) -> Iterator[None]:
    """Convert exceptions of reading a damaged table to one error of `kind` that names `where` and `fix`."""
    try:
        yield
    except DAMAGE as error:
        raise kind(f"{where}: damaged ({type(error).__name__}: {shortened_error(error)}); {fix}") from error


def shortened_error(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's text, cut after `limit` characters."""
    lines = [line.strip() for line in str(error)[:2000].splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}..."


def _check_depth(text: str) -> None:
    """Refuse deep nesting, as far as brackets show it, before a recursive parser exhausts the stack."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for found in _NESTING.finditer(text):
        mark = found[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > DEEPEST:
            raise SpecError(f"nested more than {DEEPEST} levels deep; {_FIX}")


def is_too_wide(value: int) -> bool:
    """Whether an integer has more than `WIDEST` bits and a sign, so that int64 cannot hold it."""
    return not -(1 << WIDEST) <= value < 1 << WIDEST


def _check_leaf(item: Any, *, finite: bool, nul: bool) -> None:
    if isinstance(item, str):
        _check_text(item, None, nul=nul)
    elif isinstance(item, int):
        if is_too_wide(item):
            raise SpecError(f"integers have at most {WIDEST} bits, got {shortened(item)}; give a smaller one")
    elif isinstance(item, float):
        if finite and not math.isfinite(item):
            raise SpecError(f"numbers must be finite, got {item}; give a number")
    elif item is not None:
        raise SpecError(f"dates and times are not allowed, got {shortened(item)}; give text, a number or a table")


def _check_text(text: Any, longest: int | None, *, nul: bool) -> None:
    if not isinstance(text, str):
        raise SpecError(f"keys must be text, got {shortened(text)}; give text")
    if longest is not None and len(text) > longest:
        raise SpecError(f"keys have at most {longest} characters, got {shortened(text)}; shorten it")
    if "\0" in text and not nul:
        raise SpecError(f"texts must not contain NUL, got {shortened(text)}; remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SpecError(f"texts must not contain lone surrogates, got {shortened(text)}; remove them") from None

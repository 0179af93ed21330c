"""Conversion between TOML tables and frozen dataclasses, with errors that name file, key and nearest known key."""

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from eenas import bounds
from eenas.errors import EenasError, SpecError, nearest
from eenas.escaping import shortened

T = TypeVar("T")
Table = dict[str, Any]
Extended = Annotated[float, "infinite"]
"""A number that may be infinite. Plain floats must be finite."""
LONGEST_SET = 10_000
"""The largest number of characters of a `--set` assignment."""
LONGEST_MESSAGE = 800
"""The most characters of a class's own message about its values."""


def read_table(path: str | Path) -> Table:
    """Read a TOML file. Raises SpecError if it is missing, unreadable or not TOML."""
    file = Path(path)
    try:
        text = bounds.read_file(file, bounds.MOST_TOML).decode()
    except FileNotFoundError:
        raise SpecError(f"{file}: no such file; give the path of a TOML file") from None
    except OSError as error:
        raise SpecError(f"{file}: cannot be read ({error.strerror}); give a readable TOML file") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: not valid TOML: {error}") from None
    except ValueError as error:
        raise SpecError(f"{shortened(str(file))}: not a path ({error}); give the path of a TOML file") from None
    try:
        return bounds.parse_toml(text.replace("\r\n", "\n"))
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from None


def from_table(cls: type[T], table: Mapping[str, Any], *, file: str = "", key: str = "") -> T:
    """Build the frozen dataclass `cls` from a table. A class can define `from_table(table, file=, key=)` itself.

    `file` and `key` are the origin of the table, for error messages. Raises SpecError with file, key and fix for
    unknown keys, wrong types and values that the class refuses (by a SpecError or ValueError in `__post_init__`).
    """
    reader = getattr(cls, "from_table", None)
    if reader is not None:
        return typing.cast(T, reader(table, file=file, key=key))
    return read_fields(cls, table, file=file, key=key)


def read_fields(cls: type[T], table: Mapping[str, Any], *, file: str = "", key: str = "") -> T:
    """Build `cls` from its fields as `from_table` does, even if it defines `from_table`."""
    hints = _hints(typing.cast(Hashable, cls))
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    needed = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    _check_places(hints, table, file=file, key=key)
    bounds.check_keys(table, fields, file=file, key=key)
    values = {name: _read(hints[name], value, file, f"{key}.{name}" if key else name) for name, value in table.items()}
    bounds.check_keys(table, fields, needed, file=file, key=key)
    try:
        return cls(**values)
    except ValueError as error:
        raise SpecError(f"{_where(file, key)}: {bounds.shortened_error(error)}") from None
    except EenasError as error:
        if (file or key) and not str(error).startswith(_where(file, "")):
            raise type(error)(f"{_where(file, key)}: {bounds.shortened_error(error, LONGEST_MESSAGE)}") from None
        raise


def check_options(function: str, given: Iterable[str], options: type[Any]) -> None:
    """Raise SpecError for a keyword that the TypedDict `options` of a function does not have."""
    known = options.__annotations__
    if unknown := sorted(set(given) - set(known)):
        raise SpecError(f"{function}() has no option {unknown[0]!r}; {nearest(unknown[0], known)}")


def to_table(spec: Any) -> Any:
    """Convert dataclasses to tables and tuples to lists, without `None`; the inverse of `from_table`."""
    writer = getattr(spec, "to_table", None)
    if writer is not None:
        return writer()
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        values = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec) if field.init}
        return {name: to_table(value) for name, value in values.items() if value is not None}
    if isinstance(spec, Mapping):
        return {name: to_table(value) for name, value in spec.items()}
    if isinstance(spec, tuple | list):
        return [to_table(value) for value in spec]
    return spec


def digest(value: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the canonical JSON of `value`, equal on every machine."""
    text = json.dumps(to_table(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Return `below` updated with the values of `above`, recursively."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def assign(table: Mapping[str, Any], assignment: str) -> Table:
    """Return a copy of `table` with `table.key=value` applied. The value is TOML or a bare word (text)."""
    path, equals, text = assignment.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not equals or not all(names):
        said = shortened(assignment)
        raise SpecError(f"--set {said}: must read table.key=value, for example --set training.epochs=3")
    if len(assignment) > LONGEST_SET or len(names) > bounds.DEEPEST:
        raise SpecError(
            f"--set {shortened(assignment)}: must have at most {LONGEST_SET:,} characters and {bounds.DEEPEST} parts "
            "of the key; use a study file"
        )
    try:
        value = bounds.parse_toml_value(text)
    except SpecError as error:
        raise SpecError(f"--set {shortened(assignment)}: {error}") from None
    for name in reversed(names):
        value = {name: value}
    return merge(table, value)


def _check_places(hints: Mapping[str, Any], table: Any, *, file: str, key: str) -> None:
    """Raise SpecError for a key that belongs to a table inside this one, with its place there."""
    for name in table if isinstance(table, Mapping) else ():
        if name not in hints and (places := tuple(_places(hints, str(name)))):
            inner, prefix = (f"{key}.{name}", f"{key}.") if key else (str(name), "")
            known = " or ".join(prefix + place for place in places[:3])
            raise SpecError(f"{_where(file, inner)}: unknown key; give its table, too, as in {known}")


def _places(hints: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield the dotted places of a field `name` in the dataclasses of `hints`."""
    for outer, hint in hints.items():
        for cls in (hint, *(get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ())):
            if isinstance(cls, type) and dataclasses.is_dataclass(cls) and not hasattr(cls, "from_table"):
                inner = _hints(typing.cast(Hashable, cls))
                yield from ([f"{outer}.{name}"] if name in inner else ())
                yield from (f"{outer}.{place}" for place in _places(inner, name))


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(typing.cast(type, cls), include_extras=True)


def _where(file: str, key: str) -> str:
    return bounds.located(file, key) or "the table"


def _near(value: Any, known: tuple[Any, ...]) -> str:
    return nearest(str(value) if isinstance(value, str | bool | float) else shortened(value), map(str, known))


def _read(hint: Any, value: Any, file: str, key: str) -> Any:
    """Convert one value to one type hint."""
    if hint is Extended:
        if isinstance(value, float) and math.isinf(value):
            return value
        hint = float
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, file, key)
    if origin is Literal:
        if not any(type(value) is type(argument) and value == argument for argument in arguments):
            raise SpecError(f"{_where(file, key)}: unknown value {shortened(value)}; {_near(value, arguments)}")
        return value
    if origin in (tuple, list, Sequence) or hint is tuple:
        if not isinstance(value, list | tuple):
            raise SpecError(f"{_where(file, key)}: must be a list, got {shortened(value)}")
        inner = arguments[0] if arguments else Any
        return tuple(_read(inner, item, file, key) for item in value)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise SpecError(f"{_where(file, key)}: must be a table, got {shortened(value)}")
        inner = arguments[1] if len(arguments) == 2 else Any
        return {name: _read(inner, item, file, f"{key}.{name}") for name, item in value.items()}
    if hint is Any:
        return value
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hasattr(hint, "from_table")):
        return value if isinstance(value, hint) else from_table(hint, value, file=file, key=key)
    return _read_scalar(hint, value, file, key)


def _read_union(arguments: tuple[Any, ...], value: Any, file: str, key: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    inner = [argument for argument in arguments if argument is not type(None)]
    problem: EenasError | None = None
    for argument in inner:
        try:
            return _read(argument, value, file, key)
        except EenasError as error:
            problem = problem or error
    if len(inner) == 1 and problem is not None:
        raise problem
    names = " or ".join(getattr(argument, "__name__", str(argument)) for argument in inner)
    raise SpecError(f"{_where(file, key)}: must be {names}, got {shortened(value)}")


def _read_scalar(hint: Any, value: Any, file: str, key: str) -> Any:
    if isinstance(value, int) and bounds.is_too_wide(value):
        raise SpecError(f"{_where(file, key)}: must have at most {bounds.WIDEST} bits, got {shortened(value)}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise SpecError(f"{_where(file, key)}: must be {getattr(hint, '__name__', hint)}, got {shortened(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"{_where(file, key)}: must be finite, got {value!r}")
    return value


def differing(here: Any, there: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Return the fields in which two tables differ: (dotted name, value here, value there).

    A missing value is None.
    """
    if not (isinstance(here, Mapping) and isinstance(there, Mapping)):
        return [] if here == there else [(name, here, there)]
    found = []
    for key in dict.fromkeys((*here, *there)):
        inner = f"{name}.{key}" if name else str(key)
        found += differing(here.get(key), there.get(key), inner)
    return found

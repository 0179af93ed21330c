"""Values of a JSON file from outside held against their type and bound; `eenas.bounds.read_json` reads the file."""

import math
from collections.abc import Mapping
from typing import Any

from eenas.errors import ExportError


def shown(value: object, most: int = 60) -> str:
    """A value from outside for a message, in one line of at most so many characters."""
    text = value if isinstance(value, str) else repr(value)
    found = "".join(mark if mark.isprintable() else "?" for mark in text[:most])
    return found if len(text) <= most else f"{found}…"


def is_text(value: object, most: int = 1000) -> bool:
    """Whether it is a text that can be written anywhere, of 1 to `most` characters."""
    return isinstance(value, str) and 0 < len(value) <= most and not any("\ud800" <= mark <= "\udfff" for mark in value)


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether it is a whole number in [least, most]; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = 0.0, most: float = 1e300) -> bool:
    """Whether it is a finite number in [least, most]; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= most if isinstance(value, float) else least <= value <= most


def need(holds: bool, place: str, rule: str, value: object) -> None:
    """Raise ExportError that says what stands at a place of a table instead of what must."""
    if not holds:
        raise ExportError(f"{place} must be {rule}, got {shown(value)}")


def inner(table: Mapping[str, Any], key: str, place: str) -> Any:
    """The value under a key. Raises ExportError where there is none."""
    if key not in table:
        raise ExportError(f"{place}.{key} is missing" if place else f"{key} is missing")
    return table[key]

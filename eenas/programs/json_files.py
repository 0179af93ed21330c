"""Checks of values from a JSON file against type and bounds. `eenas.bounds.read_json` reads the file."""

import math
from collections.abc import Mapping
from typing import Any

from eenas.errors import ExportError


def shown(value: object, most: int = 60) -> str:
    """Return an untrusted value for a message, on one line of at most `most` characters."""
    text = value if isinstance(value, str) else repr(value)
    found = "".join(mark if mark.isprintable() else "?" for mark in text[:most])
    return found if len(text) <= most else f"{found}…"


def is_text(value: object, most: int = 1000) -> bool:
    """Whether the value is an encodable string of 1 to `most` characters."""
    return isinstance(value, str) and 0 < len(value) <= most and not any("\ud800" <= mark <= "\udfff" for mark in value)


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether the value is an integer in [least, most]. Booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = 0.0, most: float = 1e300) -> bool:
    """Whether the value is a finite number in [least, most]. Booleans are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= most if isinstance(value, float) else least <= value <= most


def need(holds: bool, place: str, rule: str, value: object) -> None:
    """Raise ExportError with the rule and the value at this place of a table unless the rule holds."""
    if not holds:
        raise ExportError(f"{place} must be {rule}, got {shown(value)}")


def entry(table: Mapping[str, Any], key: str, place: str) -> Any:
    """Return the value of a key. Raises ExportError if the key is missing."""
    if key not in table:
        raise ExportError(f"{place}.{key} is missing" if place else f"{key} is missing")
    return table[key]

"""Checks of single values of a design, with errors that name the key."""

from collections.abc import Iterable

from eenas.errors import DesignError, nearest
from eenas.escaping import shortened


def one_of(name: str, value: object, known: Iterable[str]) -> None:
    """Raise DesignError unless `value` is among the known values."""
    names = tuple(known)
    if value not in names:
        raise DesignError(f"{name}: unknown value {shortened(value)}; {nearest(str(value), names)}")


def truth(name: str, value: object) -> None:
    """Raise DesignError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise DesignError(f"{name} must be true or false, got {shortened(value)}")


def number(name: str, value: object) -> float:
    """Return `value` as a float. Raises DesignError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise DesignError(f"{name} must be a finite number, got {shortened(value)}")
    return float(value)


def at_least(name: str, value: object, least: int) -> None:
    """Raise DesignError unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DesignError(f"{name} must be a whole number of at least {least}, got {shortened(value)}")

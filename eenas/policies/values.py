"""Checks and conversion of policy values to plain tuples and floats."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.scores import check_score

LEAST_TEMPERATURE = 1e-30


def temperatures_of(values: Iterable[float]) -> tuple[float, ...]:
    """Return temperatures as floats.

    Raises PolicyError unless `values` are finite numbers of at least LEAST_TEMPERATURE. A float32 logit cannot be
    divided by a smaller one.
    """
    found = _floats("temperatures", values)
    if bad := [value for value in found if not LEAST_TEMPERATURE <= value < math.inf]:
        raise PolicyError(f"a temperature must be positive (from {LEAST_TEMPERATURE:g} up) and finite, got {bad[0]}")
    return found


def limits_of(values: Iterable[float | None], name: str = "a threshold") -> tuple[float | None, ...]:
    """Return limits in [0, 1] as floats. None means that no sample leaves. Raises PolicyError for other values."""
    try:
        found = tuple(None if value is None else _float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise PolicyError(f"{name} must be a number or null (no sample leaves), got {shortened(values)}") from None
    if bad := [value for value in found if value is not None and not 0 <= value <= 1]:
        raise PolicyError(f"{name} must be in [0, 1] or null (no sample leaves), got {bad[0]}")
    return found


def numbers_of(name: str, values: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Return rows of finite numbers as floats. Raises PolicyError for other values; the message starts with `name`."""
    try:
        rows = tuple(_floats(name, row) for row in values)
    except TypeError:
        raise PolicyError(f"{name} must be lists of numbers, got {shortened(values)}") from None
    if bad := [value for row in rows for value in row if not math.isfinite(value)]:
        raise PolicyError(f"{name} must be finite, got {bad[0]}")
    return rows


def check_choice(score: object, within_budget: object = True) -> None:
    """Raise PolicyError for an unknown score, or if `within_budget` is not a bool."""
    if not isinstance(score, str):
        raise PolicyError(f"a score must be given by its name, got {shortened(score)}")
    check_score(score)
    check_truth("within_budget", within_budget)


def check_truth(name: str, value: object) -> None:
    """Raise PolicyError if `value` is not a bool."""
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be true or false, got {shortened(value)}")


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raise PolicyError if `value` is not a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PolicyError(f"{name} must be a whole number from {least} to {most}, got {shortened(value)}")


def _float(value: Any) -> float:
    """Return a number as a float. Raises TypeError for bools and strings, which `float` accepts."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise TypeError(f"must be a number, got a {type(value).__name__}")
    return float(value)


def _floats(name: str, values: Iterable[float]) -> tuple[float, ...]:
    try:
        return tuple(map(_float, values))
    except (TypeError, ValueError, OverflowError):
        raise PolicyError(f"{name} must be lists of numbers, got {shortened(values)}") from None

"""The values that policies are made of, checked and converted to plain tuples and floats."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.scores import check_score

LEAST_TEMPERATURE = 1e-30


def temperatures_of(values: Iterable[float]) -> tuple[float, ...]:
    """Temperatures as floats. Raises PolicyError for what is no list of numbers that are positive and finite.

    One below LEAST_TEMPERATURE, by which a logit of float32 cannot be divided, counts as 0.
    """
    found = _floats("temperatures", values)
    if bad := [value for value in found if not LEAST_TEMPERATURE <= value < math.inf]:
        raise PolicyError(f"a temperature must be positive (from {LEAST_TEMPERATURE:g} up) and finite, got {bad[0]}")
    return found


def limits_of(values: Iterable[float | None], name: str = "a threshold") -> tuple[float | None, ...]:
    """Limits in [0, 1] as floats, None: nobody leaves. Raises PolicyError for anything else."""
    try:
        found = tuple(None if value is None else _float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise PolicyError(f"{name} must be a number or null (nobody leaves), got {shortened(values)}") from None
    if bad := [value for value in found if value is not None and not 0 <= value <= 1]:
        raise PolicyError(f"{name} must be in [0, 1] or null (nobody leaves), got {bad[0]}")
    return found


def numbers_of(name: str, values: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Rows of finite numbers as floats. Raises PolicyError that starts with the name."""
    try:
        rows = tuple(_floats(name, row) for row in values)
    except TypeError:
        raise PolicyError(f"{name} must be lists of numbers, got {shortened(values)}") from None
    if bad := [value for row in rows for value in row if not math.isfinite(value)]:
        raise PolicyError(f"{name} must be finite, got {bad[0]}")
    return rows


def check_choice(score: object, within_budget: object = True) -> None:
    """Raise PolicyError for an unknown score and for a mark that is neither true nor false."""
    if not isinstance(score, str):
        raise PolicyError(f"a score is named by a text, got {shortened(score)}")
    check_score(score)
    check_truth("within_budget", within_budget)


def check_truth(name: str, value: object) -> None:
    """Raise PolicyError for what is neither true nor false."""
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be true or false, got {shortened(value)}")


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raise PolicyError for what is not a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PolicyError(f"{name} must be a whole number from {least} to {most}, got {shortened(value)}")


def _float(value: Any) -> float:
    """A number as a float. Raises TypeError for truth values and texts, which Python would take."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise TypeError(f"no number, got a {type(value).__name__}")
    return float(value)


def _floats(name: str, values: Iterable[float]) -> tuple[float, ...]:
    try:
        return tuple(map(_float, values))
    except (TypeError, ValueError, OverflowError):
        raise PolicyError(f"{name} must be lists of numbers, got {shortened(values)}") from None

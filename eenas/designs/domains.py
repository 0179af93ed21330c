"""The domain of a value in a search space: a choice, a range, or a fixed scalar."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.plugins import is_reference

Scalar: TypeAlias = str | bool | int | float


@dataclass(frozen=True)
class Categorical:
    """A choice among different scalars of one type. Their order is part of the space's identity."""

    choices: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        """Check that there are values and that they differ."""
        if not self.choices:
            raise SpecError("a choice needs at least one value, got []")
        doubled = [value for index, value in enumerate(self.choices) if value in self.choices[:index]]
        if doubled:
            raise SpecError(f"the values of a choice must differ, got {shortened(doubled[0])} twice; remove one")

    def contains(self, value: Scalar) -> bool:
        """Whether `value` is one of the choices. True is not 1."""
        return any(isinstance(choice, bool) == isinstance(value, bool) and choice == value for choice in self.choices)

    def nearest(self, value: Scalar) -> Scalar:
        """Return `value` if it is a choice, else the closest number, else the first choice."""
        if self.contains(value):
            return next(choice for choice in self.choices if choice == value)
        numbers = [choice for choice in self.choices if _is_number(choice)]
        return (
            min(numbers, key=lambda choice: _distance(choice, value)) if numbers and _is_number(value) else self.first
        )

    @property
    def first(self) -> Scalar:
        """The default value."""
        return self.choices[0]

    def values(self) -> tuple[Scalar, ...]:
        """Return every value, in order."""
        return self.choices

    def to_table(self) -> list[Scalar]:
        """Return the TOML list."""
        return list(self.choices)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included, in steps of `step` or on a log scale."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        """Check that the range is not empty and that steps reach `high`."""
        _check_range(self.low, self.high, self.log, None if self.step == 1 else self.step)

    def contains(self, value: Scalar) -> bool:
        """Whether `value` is a whole number on the range's grid."""
        return _is_number(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0  # type: ignore[operator]

    def nearest(self, value: Scalar) -> Scalar:
        """Return the closest number on the grid, `low` if `value` is not a number."""
        return min(self.values(), key=lambda number: _distance(number, value)) if _is_number(value) else self.low

    @property
    def first(self) -> Scalar:
        """The default value."""
        return self.low

    def values(self) -> tuple[Scalar, ...]:
        """Return every value, in rising order."""
        return tuple(range(self.low, self.high + 1, self.step))

    def to_table(self) -> dict[str, Scalar]:
        """Return the TOML table."""
        return _range_table(self.low, self.high, self.log, None if self.step == 1 else self.step)


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included, in steps of `step` or on a log scale."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        """Check that the range is not empty and that steps reach `high`."""
        _check_range(self.low, self.high, self.log, self.step)

    def contains(self, value: Scalar) -> bool:
        """Whether `value` is in the range and, with steps, on its grid (to a relative 1e-9 of a step)."""
        if not _is_number(value) or not self.low <= value <= self.high:  # type: ignore[operator]
            return False
        steps = 0.0 if self.step is None else (float(value) - self.low) / self.step
        return abs(steps - round(steps)) < 1e-9

    def nearest(self, value: Scalar) -> Scalar:
        """Return the closest number in the range, `low` if `value` is not a number."""
        if not _is_number(value):
            return self.low
        number = min(max(float(value), self.low), self.high)
        return number if self.step is None else min(self.values() or (), key=lambda point: _distance(point, number))

    @property
    def first(self) -> Scalar:
        """The default value."""
        return self.low

    def values(self) -> tuple[Scalar, ...] | None:
        """Return every value of a range with steps, in rising order. None for a range without steps."""
        if self.step is None:
            return None
        return tuple(min(self.low + index * self.step, self.high) for index in range(self._steps() + 1))

    def to_table(self) -> dict[str, Scalar]:
        """Return the TOML table."""
        return _range_table(self.low, self.high, self.log, self.step)

    def _steps(self) -> int:
        return round((self.high - self.low) / (self.step or 1.0))


Domain: TypeAlias = Categorical | IntRange | FloatRange
Setting: TypeAlias = Domain | Scalar


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of a search space: its type, the values it allows, its default and its meaning.

    `least` and `most` bound numbers. Both are included, but `above` excludes `least`. `open` also allows references to
    user code.
    """

    type: type[str] | type[bool] | type[int] | type[float]
    default: Scalar
    meaning: str
    choices: tuple[str, ...] = ()
    open: bool = False
    least: float = -math.inf
    most: float = math.inf
    above: bool = False

    def read(self, value: Any, *, where: str) -> Setting:
        """Read a list, a table {low, high, step?, log?} or a scalar of TOML. A choice or range of one value is fixed.

        Raises SpecError, starting with `where` (file and key), for a value that this key does not allow.
        """
        try:
            if isinstance(value, Categorical | list | tuple):
                choices = value.choices if isinstance(value, Categorical) else value
                domain: Domain = Categorical(tuple(self._scalar(choice) for choice in choices))
            elif isinstance(value, IntRange | FloatRange | Mapping):
                domain = self._range(value.to_table() if isinstance(value, IntRange | FloatRange) else value)
            else:
                return self._scalar(value)
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from None
        return domain.first if domain.values() is not None and len(domain.values() or ()) == 1 else domain

    def _scalar(self, value: Any) -> Scalar:
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            raise SpecError(f"must be {_TYPES[self.type]}, got {shortened(value)}")
        if (
            isinstance(value, str)
            and self.choices
            and value not in self.choices
            and not (self.open and is_reference(value))
        ):
            raise SpecError(f"unknown value {shortened(value)}; {nearest(value, self.choices)}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._check_bounds(value)
        return value

    def _check_bounds(self, value: float) -> None:
        low_enough = value > self.least if self.above else value >= self.least
        if not (low_enough and value <= self.most and math.isfinite(value)):
            bounds = f"{'above' if self.above else 'at least'} {self.least:g}"
            bounds += "" if math.isinf(self.most) else f" and at most {self.most:g}"
            raise SpecError(f"must be {bounds}, got {shortened(value)}")

    def _range(self, table: Mapping[str, Any]) -> Domain:
        if self.type not in (int, float):
            raise SpecError(f"a range needs numbers and this key is {_TYPES[self.type]}; give a list of values")
        for name in table:
            if name not in _RANGE_KEYS:
                raise SpecError(f"unknown key {shortened(name)} of a range; {nearest(name, _RANGE_KEYS)}")
        missing = [name for name in ("low", "high") if name not in table]
        if missing:
            raise SpecError(f"a range needs low and high, {shortened(missing[0])} is missing; add it")
        low, high, log = self._scalar(table["low"]), self._scalar(table["high"]), table.get("log", False)
        if not isinstance(log, bool):
            raise SpecError(f"log must be true or false, got {shortened(log)}")
        step = table.get("step")
        if step is not None and (
            isinstance(step, bool) or not isinstance(step, int if self.type is int else int | float)
        ):
            raise SpecError(f"step must be {_TYPES[self.type]}, got {shortened(step)}")
        if self.type is int:
            return IntRange(int(low), int(high), log, 1 if step is None else step)
        if low == high:
            return Categorical((low,))
        return FloatRange(float(low), float(high), log, None if step is None else float(step))


_TYPES = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_RANGE_KEYS = ("low", "high", "step", "log")


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distance(a: Scalar, b: Scalar) -> float:
    return abs(float(a) - float(b))


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if low > high:
        raise SpecError(
            f"low must not be above high, got low = {shortened(low)} and high = {shortened(high)}; swap them"
        )
    if log and low <= 0:
        raise SpecError(f"a log range needs low above 0, got {shortened(low)}")
    if step is None:
        return
    if log:
        raise SpecError(f"a range has either step or log, got both (step = {shortened(step)}); remove one")
    if step <= 0:
        raise SpecError(f"step must be above 0, got {shortened(step)}")
    steps = (high - low) / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        raise SpecError(f"high must be low plus a whole number of steps, got {low!r}, {high!r} and step = {step!r}")


def _range_table(low: float, high: float, log: bool, step: float | None) -> dict[str, Scalar]:
    table: dict[str, Scalar] = {"low": low, "high": high}
    if log:
        table["log"] = True
    if step is not None:
        table["step"] = step
    return table

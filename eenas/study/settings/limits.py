"""The limits that a user sets on operating points, and checks of points and of limits against them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from eenas.bounds import WIDEST, check_keys, located
from eenas.errors import SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.profile import Profile
from eenas.policies.contexts.robustness import MEASURES
from eenas.policies.costs import KNOWN, LATENCY, MACS, CostValues, cost_of, key_of, name_fault
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import OperatingPoint

_MAX, _WORST = "max_", "max_worst_"
_ACCURACY, _PARAMETERS, _BRANCHES = "min_accuracy", "max_parameters", "max_branches"
_ROBUSTNESS = {f"min_{name}": name for name in MEASURES}
_LEAST = (_ACCURACY, *_ROBUSTNESS)
LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "min_accuracy": "Least accuracy on validation, in [0, 1].",
        "min_distorted_accuracy": "Least mean accuracy on distorted samples of validation, in [0, 1].",
        "min_worst_distorted_accuracy": "Least accuracy under the worst distortion on validation, in [0, 1].",
        "max_macs": "Largest expected MACs of a sample, as a share of the plain backbone's.",
        "max_worst_macs": "Largest MACs of the most expensive reachable exit, as a share of the plain backbone's.",
        "max_latency_ms": "Largest expected latency of a sample, in milliseconds.",
        "max_worst_latency_ms": "Largest latency of the most expensive reachable exit, in milliseconds.",
        "max_NAME": "Largest expected value of the cost NAME, in its unit.",
        "max_worst_NAME": "Largest value of the cost NAME at the most expensive reachable exit, in its unit.",
        "max_parameters": "Most parameters of the network.",
        "max_branches": "Most branches of the network.",
    }
)
"""The limits by name, and what they mean. NAME is that of a cost of the study."""


@dataclass(frozen=True, init=False)
class Limits:
    """Limits on every operating point that a study offers, by name. A quantity without a limit is unlimited.

    `LIMITS` lists them. `Limits(max_macs=0.5, max_energy=2.0)` sets two. None sets no limit.

    Raises SpecError for unknown names and for limits that no network meets.
    """

    values: CostValues

    def __init__(self, **limits: float | None) -> None:
        given = {_canonical(name): value for name, value in limits.items() if value is not None}
        object.__setattr__(self, "values", CostValues((name, given[name]) for name in sorted(given, key=_rank)))
        for name, value in self.values.items():
            if name in _LEAST:
                if not 0 <= value <= 1:
                    raise SpecError(f"{name} must be a share in [0, 1] (0.9 for 90 %), got {value}")
            elif name == _BRANCHES:
                if value < 0:
                    raise SpecError(f"max_branches must not be negative, got {value}")
            elif not 0 < value < math.inf:
                raise SpecError(f"{name} must be positive, got {value}; no network meets it")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the limits in a table.

        Raises SpecError, which names the file, the key and the nearest known name.
        """
        check_keys(table, table, file=file, key=key)
        where = located(file, key) or "the table"
        for name, value in table.items():
            whole = _canonical(name) in (_PARAMETERS, _BRANCHES) if _is_limit(name) else False
            kinds = int if whole else int | float
            if _is_limit(name) and (isinstance(value, bool) or not isinstance(value, kinds) or not _is_short(value)):
                raise SpecError(f"{where}: {name} must be {'int' if whole else 'float'}, got {shortened(value)}")
        try:
            return cls(
                **{
                    name: float(value) if _is_limit(name) and name not in (_PARAMETERS, _BRANCHES) else value
                    for name, value in table.items()
                }
            )
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from None

    def to_table(self) -> dict[str, float]:
        """Return the limits that are set, by name."""
        return dict(self.values)

    def get(self, name: str) -> float | None:
        """Return a limit by its name, or None if it is not set."""
        return self.values.get(name)

    def __getattr__(self, name: str) -> float | None:
        """Return a limit as an attribute, such as `limits.max_macs`."""
        if not _is_limit(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.get(_canonical(name))

    @property
    def expected(self) -> dict[str, float]:
        """The limits on expected costs, by cost. That on MACs is a share of the backbone's."""
        return self._on(_MAX)

    @property
    def worst(self) -> dict[str, float]:
        """The limits on the cost of the most expensive exit, by cost. That on MACs is a share of the backbone's."""
        return self._on(_WORST)

    @property
    def robustness(self) -> tuple[str, ...]:
        """The accuracies under distortions that are limited."""
        return tuple(_ROBUSTNESS[name] for name in self.values if name in _ROBUSTNESS)

    def check_unit(self) -> None:
        """Raise SpecError for limits on MACs that look like per cent. Only new limits are checked, not stored ones."""
        for name in (_MAX + MACS, _WORST + MACS):
            value = self.get(name)
            if value is not None and (fault := unit_fault(name, value)):
                raise SpecError(fault)

    def check_costs(self, known: Iterable[str]) -> None:
        """Raise SpecError for a limit on a cost that is not among the `known` ones, with the nearest name."""
        names = [prefix + key_of(name) for name in known for prefix in (_MAX, _WORST)]
        for name in (*(_MAX + key_of(cost) for cost in self.expected), *(_WORST + key_of(cost) for cost in self.worst)):
            if name not in names:
                raise SpecError(f"{name}: limits a cost that is not in this study; {nearest(name, names)}")

    def __bool__(self) -> bool:
        """Whether any limit is set."""
        return bool(self.values)

    def and_also(self, other: "Limits") -> "Limits":
        """Return the combined limits. The stricter of two limits on the same quantity counts."""
        found = dict(self.values)
        for name, value in other.values.items():
            strictest = max if name in _LEAST else min
            found[name] = strictest(found.get(name, value), value)
        return Limits(**found)

    def violations(
        self, point: OperatingPoint, *, backbone_macs: float, branches: int, parameters: int | None
    ) -> dict[str, float]:
        """Return how far an operating point exceeds each limit, in the unit of the limit. Up to 0, the limit is met.

        The violation of a limit on a quantity that was not measured or recorded is infinite.
        """
        found = {}
        for name, limit in self.values.items():
            if name == _ACCURACY:
                found[name] = float(limit - point.accuracy)
                continue
            if name in _ROBUSTNESS:
                found[name] = float(limit - point.robustness.get(_ROBUSTNESS[name], -math.inf))
                continue
            value: float | None
            if name in (_PARAMETERS, _BRANCHES):
                value = parameters if name == _PARAMETERS else branches
            else:
                cost = _cost(name)
                value = (point.worst if name.startswith(_WORST) else point.expected).get(cost)
                value = value / backbone_macs if cost == MACS and value is not None else value
            found[name] = math.inf if value is None else float(value - limit)
        return found

    def distance(self, violations: Mapping[str, float]) -> float:
        """Return the distance of a point from meeting all limits: the sum of its violations as shares of the limits."""
        return sum(max(0.0, by) / max(abs(self.values[name]), 1e-9) for name, by in violations.items())

    def check(
        self,
        profile: Profile,
        *,
        batch: int = 1,
        others: Mapping[str, tuple[Sequence[float], str]] = MappingProxyType({}),
    ) -> None:
        """Raise SpecError for limits that no network on this backbone can meet.

        `others` gives the study's own costs by name: the cost of ending at each cut point and of the whole backbone,
        and the unit.
        """
        least = min((*profile.parameters, profile.total_parameters))
        most = self.get(_PARAMETERS)
        if most is not None and most < least:
            raise SpecError(
                f"constraints.max_parameters = {most:,} cannot be met: the part up to the first cut point has "
                f"{least:,}, the whole backbone {profile.total_parameters:,}; raise it, or use a smaller backbone"
            )
        names = [point.name for point in profile.cut_points]
        shares = [profile.share(index, "macs") for index in range(len(names))]
        reached = {MACS: ([*shares, 1.0], "of the backbone's MACs"), **others}
        if profile.total_latency is not None:
            whole = min(each.median_ms for each in (profile.total_latency, profile.plain_latency) if each is not None)
            times = [*(each.median_ms for each in profile.latency_ms), whole]
            reached[LATENCY] = (times, f"ms for {'a sample' if batch == 1 else f'{batch} samples'}")
        for prefix, limits in ((_MAX, self.expected), (_WORST, self.worst)):
            for cost, limit in limits.items():
                if cost not in reached:
                    name = prefix + key_of(cost)
                    raise SpecError(f"constraints.{name} is set, but {cost} is not measured in this study; measure it")
                _check_reachable(prefix + key_of(cost), limit, names, *reached[cost])

    def _on(self, prefix: str) -> dict[str, float]:
        """Return the limits on costs with this prefix."""
        own = {name: value for name, value in self.values.items() if name not in (*_LEAST, _PARAMETERS, _BRANCHES)}
        return {_cost(name): value for name, value in own.items() if name.startswith(_WORST) == (prefix == _WORST)}


def amount(name: str, by: float, units: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the amount by which the limit `name` is exceeded or met, with its unit.

    `units` are those of costs by name.
    """
    if by == math.inf:
        return "an unknown amount (not recorded)"
    if name in (_PARAMETERS, _BRANCHES):
        return f"{by:,.0f}"
    if name in _LEAST:
        return f"{100 * by:.2g} points"
    cost = _cost(name)
    if cost == MACS:
        return f"{100 * by:.2g} % of the backbone's MACs"
    number = f"{by:,.0f}" if abs(by) >= 999.5 else f"{by:.3g}"
    return f"{number} {units.get(cost) or (KNOWN[cost].unit if cost in KNOWN else '')}".rstrip()


def _check_reachable(name: str, limit: float, cut_points: Sequence[str], costs: Sequence[float], unit: str) -> None:
    """Raise SpecError for a limit below all `costs`: of ending at each cut point, then of the whole backbone.

    A network that ends at a cut point is static and has no branch on the way, whatever `max_branches` is.
    """
    least = min(costs)
    if limit >= least:
        return
    where = list(costs).index(least)
    network = "even ending at the first cut point" if where == 0 else "even the plain backbone"
    if 0 < where < len(cut_points):
        network = f"even ending at {cut_points[where]}"
    raise SpecError(f"constraints.{name} = {limit:g} cannot be met: {network} takes {least:.3g} {unit}; raise it")


def _cost(name: str) -> str:
    """Return the cost to which a limit applies."""
    return cost_of(name.removeprefix(_WORST if name.startswith(_WORST) else _MAX))


def _is_limit(name: str) -> bool:
    """Whether a name can be that of a limit."""
    if name in (*_LEAST, _PARAMETERS, _BRANCHES):
        return True
    return name.startswith(_MAX) and name_fault(_cost(name)) is None


def _canonical(name: str) -> str:
    """Return the canonical name of a limit, such as "max_latency_ms" for "max_latency".

    Raises SpecError for unknown names.
    """
    if not _is_limit(name):
        known = [prefix + key_of(cost) for cost in KNOWN for prefix in (_MAX, _WORST)]
        raise SpecError(f"unknown key {shortened(name)}; {nearest(name, (*_LEAST, *known, _PARAMETERS, _BRANCHES))}")
    if name in (*_LEAST, _PARAMETERS, _BRANCHES):
        return name
    return (_WORST if name.startswith(_WORST) else _MAX) + key_of(_cost(name))


def _rank(name: str) -> tuple[int, int, str, int]:
    """Return the sort key of a limit: accuracy, then costs (expected before worst), then those of the network."""
    if name in (*_LEAST, _PARAMETERS, _BRANCHES):
        return (-1 if name in _LEAST else 1, name == _BRANCHES, name if name in _ROBUSTNESS else "", 0)
    cost, known = _cost(name), list(KNOWN)
    return 0, known.index(cost) if cost in known else len(known), cost, int(name.startswith(_WORST))


def _is_short(value: float) -> bool:
    return not isinstance(value, int) or value.bit_length() <= WIDEST

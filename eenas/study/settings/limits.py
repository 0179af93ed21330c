"""The limits that a user sets: which operating points hold them, which never can, and which miss them least."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from eenas.errors import SpecError
from eenas.measurement.profile import Profile
from eenas.policies.macs_share import unit_fault
from eenas.policies.operating_point import OperatingPoint


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on every operating point that a study offers; what is None is not a limit.

    `min_accuracy` in [0, 1] on validation; `max_macs` and `max_latency_ms` on what a sample is expected to cost,
    `max_worst_macs` and `max_worst_latency_ms` on the dearest exit that it may reach, MACs as a share of the plain
    backbone's; `max_parameters` and `max_branches` of the network. Raises SpecError for limits that no network holds.
    """

    min_accuracy: float | None = None
    max_macs: float | None = None
    max_worst_macs: float | None = None
    max_latency_ms: float | None = None
    max_worst_latency_ms: float | None = None
    max_parameters: int | None = None
    max_branches: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that no network can hold, whatever the backbone."""
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise SpecError(f"min_accuracy is a share in [0, 1] (0.9 for 90 %), got {self.min_accuracy}")
        for name in ("max_macs", "max_worst_macs", "max_latency_ms", "max_worst_latency_ms", "max_parameters"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise SpecError(f"{name} must be positive, got {value}; no network holds it")
        if self.max_branches is not None and self.max_branches < 0:
            raise SpecError(f"max_branches must not be negative, got {self.max_branches}")

    def check_unit(self) -> None:
        """Refuse limits on MACs that were given in per cent: those that a user sets now. Raises SpecError."""
        for name in ("max_macs", "max_worst_macs"):
            value = getattr(self, name)
            if value is not None and (fault := unit_fault(name, value)):
                raise SpecError(fault)

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def and_also(self, other: "Limits") -> "Limits":
        """Both together: of two limits on the same the stricter one."""
        found = {}
        for field in fields(self):
            given = [value for value in (getattr(self, field.name), getattr(other, field.name)) if value is not None]
            strictest = max if field.name == "min_accuracy" else min
            found[field.name] = strictest(given) if given else None
        return replace(self, **found)

    def violations(
        self, point: OperatingPoint, *, backbone_macs: float, branches: int, parameters: int | None
    ) -> dict[str, float]:
        """By how much an operating point exceeds each limit that is set, in the limit's unit; at most 0 where it holds.

        A limit on something that was not measured or recorded is exceeded beyond measure.
        """
        values: dict[str, float | None] = {
            "min_accuracy": -point.accuracy,
            "max_macs": point.expected_macs / backbone_macs,
            "max_worst_macs": point.worst_macs / backbone_macs,
            "max_latency_ms": point.expected_latency_ms,
            "max_worst_latency_ms": point.worst_latency_ms,
            "max_parameters": parameters,
            "max_branches": branches,
        }
        found = {}
        for name, limit in self._set():
            value = values[name]
            over = math.inf if value is None else value + limit if name == "min_accuracy" else value - limit
            found[name] = float(over)
        return found

    def distance(self, violations: Mapping[str, float]) -> float:
        """How far a point is from holding all limits: its violations as shares of the limits, summed up."""
        limits = dict(self._set())
        return sum(max(0.0, by) / max(abs(limits[name]), 1e-9) for name, by in violations.items())

    def check(self, profile: Profile, *, batch: int = 1) -> None:
        """Refuse limits that no network on this backbone can hold, before anything is trained. Raises SpecError."""
        least = min((*profile.parameters, profile.total_parameters))
        if self.max_parameters is not None and self.max_parameters < least:
            raise SpecError(
                f"constraints.max_parameters = {self.max_parameters:,} cannot be held: the first cut point alone takes "
                f"{least:,}, and all of the backbone {profile.total_parameters:,}; raise it, or take a smaller backbone"
            )
        names = [point.name for point in profile.cut_points]
        shares = [profile.share(index, "macs") for index in range(len(names))]
        for name in ("max_macs", "max_worst_macs"):
            self._reachable(name, names, [*shares, 1.0], "of the backbone's MACs")
        if profile.total_latency is None:
            for name in ("max_latency_ms", "max_worst_latency_ms"):
                if getattr(self, name) is not None:
                    raise SpecError(f"constraints.{name} is set, but latency is not measured in this study; measure it")
            return
        whole = min(each.median_ms for each in (profile.total_latency, profile.plain_latency) if each is not None)
        times = [*(each.median_ms for each in profile.latency_ms), whole]
        for name in ("max_latency_ms", "max_worst_latency_ms"):
            self._reachable(name, names, times, f"ms for {'a sample' if batch == 1 else f'{batch} samples'}")

    def _reachable(self, name: str, cut_points: Sequence[str], costs: Sequence[float], unit: str) -> None:
        """Refuse a limit below every one of `costs`: of ending at each cut point, then of the whole backbone.

        Ending at a cut point is a static network, which has no branch on the way, whatever `max_branches` says.
        """
        limit, least = getattr(self, name), min(costs)
        if limit is None or limit >= least:
            return
        where = list(costs).index(least)
        what = "the first cut point alone" if where == 0 else "even the plain backbone"
        if 0 < where < len(cut_points):
            what = f"even ending at {cut_points[where]}"
        raise SpecError(f"constraints.{name} = {limit:g} cannot be held: {what} takes {least:.3g} {unit}; raise it")

    def _set(self) -> Iterator[tuple[str, float]]:
        for field in fields(self):
            if (value := getattr(self, field.name)) is not None:
                yield field.name, float(value)


def amount(name: str, by: float) -> str:
    """By how much the limit `name` is missed or held, in words with its unit."""
    if by == math.inf:
        return "what was not recorded"
    if name.endswith("_ms"):
        return f"{by:.3g} ms"
    if name in ("max_parameters", "max_branches"):
        return f"{by:,.0f}"
    if name == "min_accuracy":
        return f"{100 * by:.2g} points"
    return f"{100 * by:.2g} % of the backbone's MACs"

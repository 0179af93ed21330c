"""Placement rules: uniform, at shares of a metric, at each slot's own depth, or learned."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

from eenas.errors import DesignError, plural
from eenas.escaping import shortened
from eenas.measurement.profile import Metric, Profile
from eenas.plugins import Registry, call_problem, described, is_reference

Kind = Literal["uniform", "metric", "free", "gating"]
Saving = Literal["gain", "savings"]
Distribution = Literal["linear", "pareto", "fine", "gold"]

KINDS: tuple[str, ...] = get_args(Kind)
COSTS: tuple[str, ...] = get_args(Metric)
SAVINGS: tuple[str, ...] = get_args(Saving)
METRICS: tuple[str, ...] = (*COSTS, *SAVINGS)
"""The metrics of metric placement: a cost that is divided, or the savings of trained branches."""
DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)

# The least share of the MACs behind a cut point at which an early exit is worthwhile.
_LEAST_SHARE = 0.01


def candidates(profile: Profile) -> tuple[int, ...]:
    """Return the indices into `profile.cut_points` at which a branch may be placed, in depth order.

    Cut points with less than 1 % of the backbone's MACs behind them are left out. All positions in this module index
    the returned tuple.
    """
    return tuple(i for i in range(len(profile.cut_points)) if 1.0 - profile.share(i, "macs") >= _LEAST_SHARE)


def shares(profile: Profile, metric: Metric) -> tuple[float, ...]:
    """Return the share of `metric`, in [0, 1], spent up to each candidate.

    Raises DesignError for latency if the profile has no latencies.
    """
    if metric == "latency" and not has_latency(profile):
        raise DesignError(
            "metric = 'latency' needs measured latencies, and the profile has none; measure them, or use 'macs'"
        )
    return tuple(profile.share(index, metric) for index in candidates(profile))


def has_latency(profile: Profile) -> bool:
    """Whether the profile has a latency for every cut point."""
    return bool(profile.cut_points) and len(profile.latency_ms) == len(profile.cut_points)


def uniform(n: int, count: int) -> tuple[int, ...]:
    """Return `n` positions spread evenly over `count` candidates, n <= count: round(j L / (n + 1)), L = count + 1.

    Halves are rounded up. The positions are always different.
    """
    blocks = count + 1
    return tuple((2 * j * blocks + n + 1) // (2 * (n + 1)) - 1 for j in range(1, n + 1))


Placement: TypeAlias = Callable[[int, Profile], Sequence[int]]
"""A rule that says where n branches stand, n from 1 to the number of candidates, on a backbone with this profile.

It returns n rising positions among `candidates(profile)`, integers counted from 0, and the same ones each time.
"""


def placed_by(name: str, n: int, profile: Profile) -> tuple[int, ...]:
    """The positions that a rule of `PLACEMENTS` gives to `n` branches (0: none).

    Raises DesignError where they are not n rising positions among the candidates.
    """
    count = len(candidates(profile))
    if not n:
        return ()
    given = PLACEMENTS.find(name)(n, profile)
    rule = (
        f"placement.kind = {shortened(name)}: must place {plural(n, 'branch', 'branches')} at rising positions from "
        f"0 to {count - 1}"
    )
    try:
        each = tuple(given)
    except TypeError:
        raise DesignError(f"{rule} and return a sequence of them, got {described(given)}") from None
    found = tuple(_position(one, rule) for one in each)
    if len(found) != n or list(found) != sorted(set(found)) or not 0 <= found[0] <= found[-1] < count:
        raise DesignError(f"{rule}, got {shortened(list(found))}")
    return found


def _position(given: Any, rule: str) -> int:
    """Return a position as a plain integer; NumPy's are accepted. Raises DesignError for other values."""
    try:
        position = None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        position = None
    if position is None:
        raise DesignError(
            f"{rule}; positions must be integers, got {described(given)}; return indices of candidates(profile)"
        )
    return position


def is_own(kind: str) -> bool:
    """Whether a kind of placement is the user's own rule."""
    return kind not in KINDS and is_reference(kind)


def _uniform(n: int, profile: Profile) -> Sequence[int]:
    return uniform(n, len(candidates(profile)))


def _accept(name: str, found: Any) -> Placement:
    """The user's function, or a DesignError where it is none."""
    if not callable(found):
        raise DesignError(f"{name}: a placement is a function of a number and a profile, got {described(found)}")
    if (problem := call_problem(found, "n", "profile")) is not None:
        raise DesignError(f"{name}: {problem}")
    rule: Placement = found
    return rule


PLACEMENTS: Registry[Placement] = Registry("placement", {"uniform": _uniform}, accept=_accept, error=DesignError)
"""The rules that need nothing but the number of branches: eenas's, and the user's own."""


def fractions(distribution: Distribution, n: int) -> tuple[float, ...]:
    """Return the target shares of a cost for `n` branches, rising (the four rules of Demir and Akbas, EENet, 2024)."""
    rules = {
        "linear": lambda j: j / (n + 1),
        "pareto": lambda j: 1 - 0.8**j,
        "fine": lambda j: 1 - 0.95**j,
        "gold": lambda j: 1.618 ** (j - 1 - n),
    }
    return tuple(rules[distribution](j) for j in range(1, n + 1))


def at_shares(wanted: Sequence[float], have: Sequence[float]) -> tuple[int, ...]:
    """Return, for each share in `wanted` (rising), the position with the closest share in `have`, all different.

    The positions rise. A position taken by an earlier share is not used again, and enough positions are left for later
    shares, so that len(wanted) <= len(have) always succeeds. Ties go to the earlier position.
    """
    chosen: list[int] = []
    for index, target in enumerate(wanted):
        first = chosen[-1] + 1 if chosen else 0
        last = len(have) - (len(wanted) - index)
        chosen.append(nearest(target, have, first, last))
    return tuple(chosen)


def nearest(target: float, have: Sequence[float], first: int = 0, last: int | None = None) -> int:
    """Return the position with the share closest to `target`, the earlier of two.

    `first` and `last` (included) limit the positions; the default is all.
    """
    stop = len(have) if last is None else last + 1
    return min(range(first, stop), key=lambda position: abs(have[position] - target))


def depth_target(slot: int, slots: int, depth: float) -> float:
    """Return the share of MACs for `depth` in [0, 1] within the band of a slot.

    The band of `slot` (from 1) is [(slot - 1) / slots, slot / slots].
    """
    return (slot - 1 + depth) / slots


def slot_at(share: float, slots: int) -> int:
    """Return the slot (from 1) whose band of MACs holds the cut point at `share`; an edge belongs to the later band."""
    return min(int(share * slots + 1e-9) + 1, slots)

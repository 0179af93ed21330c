"""Where branches stand: uniformly, at shares of a metric, at each slot's own depth, or where it is learned."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

from eenas.errors import DesignError
from eenas.escaping import shortened
from eenas.measurement.profile import Metric, Profile
from eenas.plugins import Registry, is_reference

Kind = Literal["uniform", "metric", "free", "gating"]
Saving = Literal["gain", "savings"]
Distribution = Literal["linear", "pareto", "fine", "gold"]

KINDS: tuple[str, ...] = get_args(Kind)
COSTS: tuple[str, ...] = get_args(Metric)
SAVINGS: tuple[str, ...] = get_args(Saving)
METRICS: tuple[str, ...] = (*COSTS, *SAVINGS)
"""What metric placement goes by: a cost that is divided, or what trained branches save."""
DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)

# With less than this share of the MACs behind it a cut point has nothing to save.
_WORTHWHILE = 0.01


def candidates(profile: Profile) -> tuple[int, ...]:
    """The indices into `profile.cut_points` where a branch may stand, in depth order.

    Left out are cut points with less than 1 % of the backbone's MACs behind them. All positions of this module index
    the tuple returned here.
    """
    return tuple(i for i in range(len(profile.cut_points)) if 1.0 - profile.share(i, "macs") >= _WORTHWHILE)


def shares(profile: Profile, metric: Metric) -> tuple[float, ...]:
    """The share of `metric`, in [0, 1], spent up to each candidate.

    Raises DesignError when the profile holds no latencies and latency is asked for.
    """
    if metric == "latency" and not has_latency(profile):
        raise DesignError(
            "metric = 'latency' needs measured latencies and the profile has none; measure, or use 'macs'"
        )
    return tuple(profile.share(index, metric) for index in candidates(profile))


def has_latency(profile: Profile) -> bool:
    """Whether the profile holds a latency for every cut point."""
    return bool(profile.cut_points) and len(profile.latency_ms) == len(profile.cut_points)


def uniform(n: int, count: int) -> tuple[int, ...]:
    """`n` positions spread evenly over `count` candidates, n <= count: round(j L / (n + 1)) of L = count + 1 blocks.

    Halves are rounded up; with n <= count the positions are always different.
    """
    blocks = count + 1
    return tuple((2 * j * blocks + n + 1) // (2 * (n + 1)) - 1 for j in range(1, n + 1))


Placement: TypeAlias = Callable[[int, Profile], Sequence[int]]
"""A rule that says where n branches stand, n from 1 to the number of candidates, on a backbone with this profile.

It returns n rising positions among `candidates(profile)`, counted from 0, and the same ones each time.
"""


def placed_by(name: str, n: int, profile: Profile) -> tuple[int, ...]:
    """The positions that a rule of `PLACEMENTS` gives to `n` branches (0: none).

    Raises DesignError where they are not n rising positions among the candidates.
    """
    count = len(candidates(profile))
    found = tuple(PLACEMENTS.find(name)(n, profile)) if n else ()
    right = len(found) == n and all(isinstance(each, int) and not isinstance(each, bool) for each in found)
    if not right or list(found) != sorted(set(found)) or (found and not 0 <= found[0] <= found[-1] < count):
        raise DesignError(
            f"placement.kind = {shortened(name)}: must place {n} branches at rising positions from 0 to {count - 1}, "
            f"got {shortened(list(found))}"
        )
    return found


def is_own(kind: str) -> bool:
    """Whether a kind of placement is the user's own rule."""
    return kind not in KINDS and is_reference(kind)


def _uniform(n: int, profile: Profile) -> Sequence[int]:
    return uniform(n, len(candidates(profile)))


def _accept(name: str, found: Any) -> Placement:
    """The user's function, or a DesignError where it is none."""
    if not callable(found):
        raise DesignError(f"{name}: a placement is a function of a number and a profile, got {shortened(found)}")
    rule: Placement = found
    return rule


PLACEMENTS: Registry[Placement] = Registry("placement", {"uniform": _uniform}, accept=_accept, error=DesignError)
"""The rules that need nothing but the number of branches: eenas's, and the user's own."""


def fractions(distribution: Distribution, n: int) -> tuple[float, ...]:
    """The shares of a cost at which `n` branches are wanted, rising (Demir and Akbas, EENet, 2024; its four rules)."""
    rules = {
        "linear": lambda j: j / (n + 1),
        "pareto": lambda j: 1 - 0.8**j,
        "fine": lambda j: 1 - 0.95**j,
        "gold": lambda j: 1.618 ** (j - 1 - n),
    }
    return tuple(rules[distribution](j) for j in range(1, n + 1))


def at_shares(wanted: Sequence[float], have: Sequence[float]) -> tuple[int, ...]:
    """For each share in `wanted` (rising) the position whose share in `have` is closest, all different and rising.

    A position that an earlier share has taken is left to it, and enough positions are kept for the later ones, so
    that len(wanted) <= len(have) always succeeds. Ties go to the earlier position.
    """
    chosen: list[int] = []
    for index, target in enumerate(wanted):
        first = chosen[-1] + 1 if chosen else 0
        last = len(have) - (len(wanted) - index)
        chosen.append(nearest(target, have, first, last))
    return tuple(chosen)


def nearest(target: float, have: Sequence[float], first: int = 0, last: int | None = None) -> int:
    """The position between `first` and `last` (included; default: all) whose share is closest; the earlier of two."""
    stop = len(have) if last is None else last + 1
    return min(range(first, stop), key=lambda position: abs(have[position] - target))


def depth_target(slot: int, slots: int, depth: float) -> float:
    """The share of MACs that `depth` in [0, 1] names in the band [(slot - 1) / slots, slot / slots]; slots from 1."""
    return (slot - 1 + depth) / slots


def slot_at(share: float, slots: int) -> int:
    """The slot (from 1) whose band of MACs holds the cut point at `share`; an edge belongs to the band behind it."""
    return min(int(share * slots + 1e-9) + 1, slots)

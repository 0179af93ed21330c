"""The cost cap, and the repair of a branch over it: narrower, then shallower, then dropped."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.branches.registry import branch_from_sizes
from eenas.designs.domains import Scalar
from eenas.designs.space import Space, values_of
from eenas.errors import BranchError
from eenas.measurement.profile import Profile

BranchMacs: TypeAlias = Callable[[Branch, FeatureShape], int]


@dataclass(frozen=True, kw_only=True)
class FittedBranch:
    """The branch placed at a cut point (None: dropped), and its repair."""

    branch: Branch | None
    repair: str | None = None


def cost_limit(space: Space, profile: Profile, index: int) -> float:
    """Return the largest MACs of a branch at cut point `index`: a share of those that leaving there saves.

    The cap concerns the branch alone, never its neighbours. It replaces the comparison of neighbours in NACHOS.
    """
    return space.cost_cap * (profile.total_macs - profile.macs[index])


def obstacle(branch: Branch, space: Space, profile: Profile, index: int, branch_macs: BranchMacs) -> str | None:
    """Return why `branch` cannot be placed at cut point `index`, or None if it can."""
    shape = profile.cut_points[index].shape
    try:
        branch.check(shape)
    except BranchError as error:
        return str(error)
    macs, limit = branch_macs(branch.stand_in(shape), shape), cost_limit(space, profile, index)
    return f"costs {macs:,} MACs, over the cap of {limit:,.0f}" if macs > limit else None


def fit(
    values: Mapping[str, Scalar], space: Space, slot: int, profile: Profile, index: int, branch_macs: BranchMacs
) -> FittedBranch:
    """Return the branch for the slot's drawn `values` (structure, width, layers, pool) at cut point `index`.

    Branches are tried within the slot's own values in this order: as drawn, with the next smaller widths, then with one
    layer fewer and the drawn width and below, and so on. If none fits, the branch is dropped.
    """
    reason = ""
    wanted: Branch | None = None
    for branch in _shrinking(values, space, slot):
        wanted = wanted or branch
        problem = obstacle(branch, space, profile, index, branch_macs)
        if problem is None:
            repair = None if branch == wanted else f"{wanted.label()} {reason}; now {branch.label()}"
            return FittedBranch(branch=branch, repair=repair)
        reason = reason or problem
    label = wanted.label() if wanted is not None else str(values["structure"])
    return FittedBranch(branch=None, repair=f"{label} {reason}; dropped")


def _shrinking(values: Mapping[str, Scalar], space: Space, slot: int) -> Iterator[Branch]:
    widths = _not_above(values_of(space, f"slot{slot}.width"), values["width"])
    layers = _not_above(values_of(space, f"slot{slot}.layers"), values["layers"])
    seen: set[Branch] = set()
    for count in layers:
        for width in widths:
            branch = branch_of({**values, "width": width, "layers": count})
            if branch not in seen:
                seen.add(branch)
                yield branch


def branch_of(values: Mapping[str, Scalar]) -> Branch:
    """Return the branch of these values of structure, width, layers and pool.

    A family ignores sizes it does not use.
    """
    return branch_from_sizes(
        str(values["structure"]), width=int(values["width"]), layers=int(values["layers"]), pool=str(values["pool"])
    )


def _not_above(choices: tuple[Scalar, ...], value: Scalar) -> list[Scalar]:
    return sorted((choice for choice in choices if float(choice) <= float(value)), key=float, reverse=True)

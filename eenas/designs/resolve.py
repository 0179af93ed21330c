"""A proposal resolved to a design: cut points chosen, the cost cap kept, repairs written down."""

from typing import Any

from eenas.branches.branch import SIZES
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.designs.domains import Scalar
from eenas.designs.keys import POLICY, TRAINING
from eenas.designs.placement import at_shares, candidates, depth_target, fractions, nearest, shares, uniform
from eenas.designs.proposal import Proposal, check_proposal
from eenas.designs.repair import BranchMacs, fit
from eenas.designs.space import Space, check_space
from eenas.errors import InfeasibleError
from eenas.measurement.profile import Profile


def resolve(
    proposal: Proposal,
    space: Space,
    profile: Profile,
    *,
    num_classes: int,
    input_size: int,
    branch_macs: BranchMacs,
) -> Design:
    """The design that a proposal means on this backbone.

    `branch_macs(branch, shape)` counts the MACs of a branch for one sample. What can be repaired is repaired and
    noted in `provenance["repairs"]`: a branch over the cost cap becomes narrower, then shallower, else it is dropped;
    of two branches at one cut point the later moves to the next free one behind, or is dropped behind the last.

    Raises DesignError when proposal, space and backbone do not belong together, and InfeasibleError when branches
    were asked for and none can stand.
    """
    check_space(space, profile, latency=False)
    proposal = check_proposal(space, proposal)
    points = candidates(profile)
    on = [slot for slot in range(1, space.branches + 1) if space.value(proposal, f"slot{slot}.on")]
    kind = space.value(proposal, "placement.kind")
    placed: list[Placed] = []
    repairs: list[str] = []
    last = -1
    for slot, wanted in zip(on, _positions(proposal, space, profile, on), strict=True):
        position = max(wanted, last + 1)
        if position >= len(points):
            repairs.append(f"slot {slot}: no free cut point behind {profile.cut_points[points[last]].name}; dropped")
            continue
        name = profile.cut_points[points[position]].name
        fitted = fit(_branch_values(proposal, space, slot), space, slot, profile, points[position], branch_macs)
        if fitted.branch is not None and position > wanted:
            repairs.append(f"slot {slot}: {profile.cut_points[points[wanted]].name} is taken; moved to {name}")
        if fitted.repair is not None:
            repairs.append(f"slot {slot}: at {name}, {fitted.repair}")
        if fitted.branch is not None:
            placed.append(Placed(cut_point=name, branch=fitted.branch))
            last = position
    if on and not placed:
        raise InfeasibleError(f"none of the {len(on)} branches asked for can stand: {'; '.join(repairs)}")
    design = Design(
        backbone=profile.backbone,
        num_classes=num_classes,
        input_size=input_size,
        branches=tuple(placed),
        training=TrainingChoice(**_values(proposal, space, "training")),
        policy=PolicyChoice(**_values(proposal, space, "policy")),
        provenance={
            "space": {"name": space.name, "version": space.version, "digest": space.digest},
            "placement": _placement(proposal, space) if on else {"kind": kind},
            "repairs": repairs,
        },
    )
    return design.canonical()


def _positions(proposal: Proposal, space: Space, profile: Profile, on: list[int]) -> list[int]:
    """The candidate that each slot in `on` asks for; rising, for free placement perhaps one twice."""
    kind = space.value(proposal, "placement.kind")
    if kind == "uniform":
        return list(uniform(len(on), len(candidates(profile))))
    if kind == "metric":
        values = _placement(proposal, space)
        return list(at_shares(fractions(values["distribution"], len(on)), shares(profile, values["metric"])))
    have = shares(profile, "macs")
    depths = {slot: float(space.value(proposal, f"slot{slot}.depth")) for slot in on}
    return [nearest(depth_target(slot, space.branches, depth), have) for slot, depth in depths.items()]


def _placement(proposal: Proposal, space: Space) -> dict[str, Any]:
    kind = space.value(proposal, "placement.kind")
    names = ("kind", "metric", "distribution") if kind == "metric" else ("kind",)
    return {name: space.value(proposal, f"placement.{name}") for name in names}


def _branch_values(proposal: Proposal, space: Space, slot: int) -> dict[str, Scalar]:
    return {key: space.value(proposal, f"slot{slot}.{key}") for key in ("structure", *SIZES)}


def _values(proposal: Proposal, space: Space, section: str) -> dict[str, Any]:
    keys = TRAINING if section == "training" else POLICY
    return {key: space.value(proposal, f"{section}.{key}") for key in keys}

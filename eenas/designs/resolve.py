"""Resolving a proposal to a design: choosing cut points, keeping the cost cap, recording repairs."""

from collections.abc import Mapping, Sequence
from typing import Any

from eenas.branches.cascade import Cascade
from eenas.designs.design import Design, Placed, PolicyChoice, TrainingChoice
from eenas.designs.finding import Chooser, Found, Learner, candidate_branches, is_learned, slot_values
from eenas.designs.keys import POLICY, TRAINING
from eenas.designs.placement import at_shares, candidates, depth_target, fractions, is_own, nearest, placed_by, shares
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.proposal import Proposal, check_proposal
from eenas.designs.repair import fit, obstacle
from eenas.designs.space import Space, check_fitted
from eenas.designs.training_choice import without_contradiction
from eenas.errors import DesignError, InfeasibleError
from eenas.escaping import shortened
from eenas.measurement.profile import Profile


def resolve(
    proposal: Proposal,
    space: Space,
    backbone: ProfiledBackbone,
    *,
    chooser: Chooser | None = None,
    learner: Learner | None = None,
) -> Design:
    """Return the design of a proposal on this backbone.

    Repairs are recorded in `provenance["repairs"]`: a branch over the cost cap becomes narrower, then shallower, and is
    dropped otherwise; of two branches at one cut point, the later moves to the next free one behind it, and is dropped
    behind the last.

    Placement by gates, gain or savings calls `chooser` with a branch for every candidate cut point in the bands of MACs
    of the slots that are on. Open branches get their structure from `learner`. The reports of both become provenance;
    the design replays without them. In a cascade all branches but the first are wrapped, which the cost cap does not
    count.

    Raises DesignError if proposal, space and backbone do not match or a required chooser or learner is missing, and
    InfeasibleError if branches were requested and none fits.
    """
    profile = backbone.profile
    check_fitted(space, profile)
    proposal = check_proposal(space, proposal)
    on = [slot for slot in range(1, space.branches + 1) if space.value(proposal, f"slot{slot}.on")]
    if not on:
        found = Found(branches=())
    elif is_learned(space, proposal):
        found = _chosen(proposal, space, backbone, on, chooser)
    else:
        found = _placed(proposal, space, backbone, on)
    learned: Mapping[str, Any] = {}
    repairs = list(found.notes)
    if any(placed.branch.is_open for placed in found.branches):
        named = _structures(found.branches, space, backbone, learner)
        learned, branches = named.facts, named.branches
        repairs += named.notes
    else:
        branches = found.branches
    training, repair = without_contradiction(_values(proposal, space, "training"))
    design = Design(
        backbone=profile.backbone,
        num_classes=backbone.num_classes,
        inputs=backbone.inputs,
        branches=cascaded(branches) if space.value(proposal, "network.cascade") else branches,
        training=TrainingChoice(**training),
        policy=PolicyChoice(**_values(proposal, space, "policy")),
        provenance={
            "space": {"name": space.name, "version": space.version, "digest": space.digest},
            "placement": {**(_placement(proposal, space) if on else {"kind": _kind(proposal, space)}), **found.facts},
            **({"learned": dict(learned)} if learned else {}),
            "repairs": repairs + ([repair] if repair is not None else []),
        },
    )
    return design.canonical()


def cascaded(branches: Sequence[Placed]) -> tuple[Placed, ...]:
    """Wrap all branches but the first, so that each also reads the logits of the one before it."""
    return (*branches[:1], *(Placed(each.cut_point, Cascade(branch=each.branch)) for each in branches[1:]))


def _placed(proposal: Proposal, space: Space, backbone: ProfiledBackbone, on: list[int]) -> Found:
    """Return the branches of the slots that are on, placed by rule."""
    profile = backbone.profile
    points = candidates(profile)
    placed: list[Placed] = []
    repairs: list[str] = []
    last = -1
    for slot, wanted in zip(on, _positions(proposal, space, profile, on), strict=True):
        position = max(wanted, last + 1)
        if position >= len(points):
            repairs.append(f"slot {slot}: no free cut point behind {profile.cut_points[points[last]].name}; dropped")
            continue
        name = profile.cut_points[points[position]].name
        fitted = fit(slot_values(proposal, space, slot), space, slot, profile, points[position], backbone.branch_macs)
        if fitted.branch is not None and position > wanted:
            repairs.append(f"slot {slot}: {profile.cut_points[points[wanted]].name} is taken; moved to {name}")
        if fitted.repair is not None:
            repairs.append(f"slot {slot}: at {name}, {fitted.repair}")
        if fitted.branch is not None:
            placed.append(Placed(cut_point=name, branch=fitted.branch))
            last = position
    if not placed:
        raise InfeasibleError(f"none of the {len(on)} requested branches can be placed: {'; '.join(repairs)}")
    return Found(branches=tuple(placed), notes=tuple(repairs))


def _chosen(
    proposal: Proposal, space: Space, backbone: ProfiledBackbone, on: list[int], chooser: Chooser | None
) -> Found:
    """Return the branches that `chooser` keeps."""
    values = _placement(proposal, space)
    if chooser is None:
        named = ", ".join(
            f"placement.{key} = {shortened(value)}" for key, value in values.items() if key in ("kind", "metric")
        )
        raise DesignError(f"{named} trains branches to choose among, which needs a chooser; pass one, or place by rule")
    offered = candidate_branches(proposal, space, backbone, on)
    if not offered.branches:
        raise InfeasibleError(
            f"no cut point in the {len(on)} requested bands can carry its branch: " + _all(offered.refused)
        )
    most = min(len(on) if values["kind"] == "metric" else space.branches, len(offered.branches))
    count = int(values.get("count", 0))
    notes = list(offered.refused)
    if count > most:
        notes.append(f"placement.count = {count}, but only {most} can be placed; {most} used")
        values["count"] = most
    found = chooser(offered.branches, {**values, "most": most})
    names = [placed.cut_point for placed in offered.branches]
    kept = [placed.cut_point for placed in found.branches]
    if not 1 <= len(kept) <= most or kept != [name for name in names if name in kept]:
        raise DesignError(f"a chooser must keep 1 to {most} of {names} in this order, got {kept}; correct the chooser")
    notes += [offered.repairs[name] for name in kept if name in offered.repairs]
    return Found(branches=found.branches, facts=found.facts, notes=(*notes, *found.notes))


def _structures(
    branches: tuple[Placed, ...], space: Space, backbone: ProfiledBackbone, learner: Learner | None
) -> Found:
    """Return the branches with the structures that `learner` finds; a branch over the cost cap is dropped."""
    if learner is None:
        first = next(placed for placed in branches if placed.branch.is_open)
        raise DesignError(
            f"{first.branch.label()} at {first.cut_point} has a structure to be found, which needs a learner; "
            "pass one, or remove learned structures from branch.structure"
        )
    found = learner(branches)
    wanted, got = ([placed.cut_point for placed in each] for each in (branches, found.branches))
    if got != wanted:
        raise DesignError(f"a learner must return branches at {wanted}, got {got}; correct the learner")
    profile, notes, kept = backbone.profile, list(found.notes), []
    for placed in found.branches:
        problem = obstacle(placed.branch, space, profile, profile.index(placed.cut_point), backbone.branch_macs)
        if problem is None:
            kept.append(placed)
        else:
            notes.append(f"at {placed.cut_point}, {placed.branch.label()} was found but {problem}; dropped")
    if not kept:
        raise InfeasibleError(f"none of the {len(branches)} requested branches can be placed: {'; '.join(notes)}")
    return Found(branches=tuple(kept), facts=found.facts, notes=tuple(notes))


def _positions(proposal: Proposal, space: Space, profile: Profile, on: list[int]) -> list[int]:
    """Return the candidate for each slot in `on`, in rising order. Free placement may repeat one."""
    kind = _kind(proposal, space)
    if kind == "uniform" or is_own(kind):
        return list(placed_by(kind, len(on), profile))
    if kind == "metric":
        values = _placement(proposal, space)
        return list(at_shares(fractions(values["distribution"], len(on)), shares(profile, values["metric"])))
    have = shares(profile, "macs")
    depths = {slot: float(space.value(proposal, f"slot{slot}.depth")) for slot in on}
    return [nearest(depth_target(slot, space.branches, depth), have) for slot, depth in depths.items()]


def _kind(proposal: Proposal, space: Space) -> str:
    return str(space.value(proposal, "placement.kind"))


def _placement(proposal: Proposal, space: Space) -> dict[str, Any]:
    """Return the values that the kind of placement uses."""
    kind = _kind(proposal, space)
    names = ["kind"]
    if kind == "metric":
        names += ["metric"] if is_learned(space, proposal) else ["metric", "distribution"]
    if kind == "gating":
        names += ["cost_weight", "count"]
    return {name: space.value(proposal, f"placement.{name}") for name in names}


def _values(proposal: Proposal, space: Space, section: str) -> dict[str, Any]:
    keys = TRAINING if section == "training" else POLICY
    return {key: space.value(proposal, f"{section}.{key}") for key in keys}


def _all(reasons: Sequence[str]) -> str:
    return "; ".join(reasons) or "they hold no cut point"

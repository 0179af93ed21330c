"""The costs of reaching each exit of a design: backbone, all branches on the way, and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.escaping import one_line
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.profile import BranchCost, Profile
from eenas.networks.tiered_costs import StudyTiers
from eenas.policies.costs import LONGEST, CostFacts, Costs


@dataclass(frozen=True, eq=False)
class ExitCosts:
    """The costs of leaving at each of K exits. The last exit is the backbone's classifier, or a static design's branch.

    `costs` `[K]` include the backbone and all branches up to the exit, `c_k = b_k + a_1 + ... + a_k`. MACs and latency
    (present only if it was measured) also include all decisions up to it. `parameters` counts the whole network, for a
    static design without the layers after its branch.
    """

    costs: Costs
    parameters: int


def exit_costs(
    design: Design,
    profile: Profile,
    branches: Sequence[BranchCost],
    own: Sequence[OwnCost] = (),
    tiers: StudyTiers | None = None,
) -> ExitCosts:
    """Compose the profile of the backbone with the costs of the design's branches, given in depth order.

    `own` are the costs that the study adds, measured on this profile. With `tiers`, the costs have those of every
    split between them.

    A decision costs one multiply-accumulate per class (the normalisation of the logits) and the host's measured time;
    the last exit has no decision. If each segment is a program of its own (`Profile.joints`), every cut point passed
    adds the cost of joining two programs there, and every answer its own overhead.
    """
    at = [profile.index(placed.cut_point) for placed in design.branches]
    if design.static:
        (index,), (branch,) = at, branches
        macs_there, parameters = profile.macs[index] + branch.macs, profile.parameters[index] + branch.parameters
        latency = _static_latency(index, profile, branch)
        counted = _counted([float(macs_there)], latency, profile)
        found = _joined(counted, own, at, profile, branches, static=True)
        return ExitCosts(_tiered(found, design, profile, branches, tiers), parameters)
    decision = design.num_classes
    macs, behind = [], 0
    for index, branch in zip(at, branches, strict=True):
        behind += branch.macs + decision
        macs.append(float(profile.macs[index] + behind))
    macs.append(float(profile.total_macs + behind))
    parameters = profile.total_parameters + sum(branch.parameters for branch in branches)
    counted = _counted(macs, _latency(at, profile, branches), profile)
    found = _joined(counted, own, at, profile, branches, static=False)
    return ExitCosts(_tiered(found, design, profile, branches, tiers), parameters)


def _tiered(
    found: Costs, design: Design, profile: Profile, branches: Sequence[BranchCost], tiers: StudyTiers | None
) -> Costs:
    """Return the costs with those of every split, if the study has tiers."""
    return found if tiers is None else replace(found, splits=tiers.splits(design, profile, branches))


def _counted(macs: Sequence[float], latency: NDArray[np.float64] | None, profile: Profile) -> Costs:
    """Return the costs that every study has, the latency with the conditions under which it was measured."""
    found = Costs.of(macs=macs, latency=latency)
    if latency is None or profile.total_latency is None:
        return found
    provenance = one_line(f"composed of parts measured on {profile.total_latency.conditions}")
    return Costs((found.facts[0], replace(found.facts[1], provenance=provenance[:LONGEST])), found.values)


def _joined(
    counted: Costs,
    own: Sequence[OwnCost],
    at: Sequence[int],
    profile: Profile,
    branches: Sequence[BranchCost],
    *,
    static: bool,
) -> Costs:
    """Return the counted costs and the study's own, each for the prefix and all branches up to the exit."""
    if not own:
        return counted
    shapes = [profile.cut_points[index].shape for index in at]
    rows = []
    for each in own:
        passed = np.cumsum([each.branch(branch, shape) for branch, shape in zip(branches, shapes, strict=True)])
        found = np.array([each.prefixes[index] for index in at], dtype=np.float64) + passed
        whole = each.prefixes[-1] + (passed[-1] if len(passed) else 0.0)
        rows.append(found if static else np.append(found, whole))
    facts = (CostFacts(name=each.name, unit=each.unit, provenance=each.provenance) for each in own)
    return Costs((*counted.facts, *facts), np.concatenate([counted.values, rows]))


def _latency(at: Sequence[int], profile: Profile, branches: Sequence[BranchCost]) -> NDArray[np.float64] | None:
    """Return the latency [K] of each exit: prefix, all branches and decisions on the way, and joints of programs.

    None if any part was not timed.
    """
    if not profile.reached_ms or profile.total_latency is None or profile.decision is None:
        return None
    joints, decision = profile.joints, profile.decision.median_ms
    if not at:  # the plain backbone, by the module or by its chain, whichever is faster: there is no policy to ask
        known = [each.median_ms for each in (profile.total_latency, profile.plain_latency) if each is not None]
        return np.array([min(known)])
    wait, times = 0.0 if joints is None else joints.entry_ms, []
    for index, branch in zip(at, branches, strict=True):
        if branch.latency is None:
            return None
        # a branch shares the call of its segment's program
        wait += max(branch.latency.median_ms - (joints.call_ms if joints else 0.0), 0.0) + decision
        times.append(profile.reached_ms[index] + wait)
        wait += joints.cut_ms[index] if joints else 0.0
    # with joined programs the policy also runs at the final exit, to give the answer
    times.append(profile.reached_ms[-1] + wait + (decision if joints else 0.0))
    return np.array(times)


def _static_latency(index: int, profile: Profile, branch: BranchCost) -> NDArray[np.float64] | None:
    """Return the latency [1] of the prefix and its classifier; with joined programs the policy runs too, to answer.

    None if any part was not timed.
    """
    if not profile.reached_ms or profile.decision is None or branch.latency is None:
        return None
    call, decision = (profile.joints.call_ms, profile.decision.median_ms) if profile.joints else (0.0, 0.0)
    entry = profile.joints.entry_ms if profile.joints else 0.0
    time = profile.reached_ms[index] + entry + max(branch.latency.median_ms - call, 0.0) + decision
    return np.array([time])

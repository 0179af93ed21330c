"""What reaching each exit of a design costs: backbone, every branch on the way, and the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.profile import BranchCost, Profile
from eenas.policies.costs import CostFacts, Costs


@dataclass(frozen=True, eq=False)
class ExitCosts:
    """Costs of leaving at each of K exits, the last being the backbone's own classifier, or a static design's branch.

    `costs` `[K]` count the backbone up to the exit, every branch up to it and, of MACs and latency (which is there
    where it was measured), every decision up to it: `c_k = b_k + a_1 + ... + a_k`. `parameters` is the whole network's,
    without what a static one never reaches.
    """

    costs: Costs
    parameters: int


def exit_costs(
    design: Design, profile: Profile, branches: Sequence[BranchCost], own: Sequence[OwnCost] = ()
) -> ExitCosts:
    """Compose the profile of the backbone with the costs of the design's branches, given in depth order.

    `own` are the study's own costs on this profile.

    A decision costs one multiply-accumulate a class (the normalisation of the score) and the measured wait of the
    host; the last exit decides nothing. Where each segment is a program of its own (`Profile.joints`), every cut point
    passed adds what joins two programs there, and an answer what it costs beside them.
    """
    at = [profile.index(placed.cut_point) for placed in design.branches]
    if design.static:
        (index,), (branch,) = at, branches
        macs_there, parameters = profile.macs[index] + branch.macs, profile.parameters[index] + branch.parameters
        latency = _static_latency(index, profile, branch)
        counted = Costs.of(macs=[float(macs_there)], latency=latency)
        return ExitCosts(_joined(counted, own, at, profile, branches, static=True), parameters)
    decision = design.num_classes
    macs, behind = [], 0
    for index, branch in zip(at, branches, strict=True):
        behind += branch.macs + decision
        macs.append(float(profile.macs[index] + behind))
    macs.append(float(profile.total_macs + behind))
    parameters = profile.total_parameters + sum(branch.parameters for branch in branches)
    counted = Costs.of(macs=macs, latency=_latency(at, profile, branches))
    return ExitCosts(_joined(counted, own, at, profile, branches, static=False), parameters)


def _joined(
    counted: Costs,
    own: Sequence[OwnCost],
    at: Sequence[int],
    profile: Profile,
    branches: Sequence[BranchCost],
    *,
    static: bool,
) -> Costs:
    """The counted costs and the study's own: the prefix to each exit and every branch on the way."""
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
    """The prefix to each exit, every branch and decision on the way, and what joins programs of their own."""
    timed = len(profile.latency_ms) == len(profile.cut_points)
    if not timed or profile.total_latency is None or profile.decision is None:
        return None
    joints, decision = profile.joints, profile.decision.median_ms
    wait, times = 0.0 if joints is None else joints.entry_ms, []
    for index, branch in zip(at, branches, strict=True):
        if branch.latency is None:
            return None
        # a branch shares the call of the program that its segment is
        wait += max(branch.latency.median_ms - (joints.call_ms if joints else 0.0), 0.0) + decision
        times.append(profile.latency_ms[index].median_ms + wait)
        wait += joints.cut_ms[index] if joints else 0.0
    # where programs are joined, the policy is asked at the final exit too: it knows what a sample answers
    times.append(profile.total_latency.median_ms + wait + (decision if joints else 0.0))
    # A prefix timed alone may come out slower than a longer one by noise; nobody waits less for more work.
    return np.maximum.accumulate(np.array(times))


def _static_latency(index: int, profile: Profile, branch: BranchCost) -> NDArray[np.float64] | None:
    """The prefix and its classifier as one program; where programs are joined, the policy is asked what it answers."""
    if not profile.latency_ms or profile.decision is None or branch.latency is None:
        return None
    call, decision = (profile.joints.call_ms, profile.decision.median_ms) if profile.joints else (0.0, 0.0)
    entry = profile.joints.entry_ms if profile.joints else 0.0
    time = profile.latency_ms[index].median_ms + entry + max(branch.latency.median_ms - call, 0.0) + decision
    return np.array([time])

"""What reaching each exit of a design costs: backbone, every branch on the way, and the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.measurement.profile import BranchCost, Profile


@dataclass(frozen=True, eq=False)
class ExitCosts:
    """Costs of leaving at each of K exits, the last being the backbone's own classifier.

    `macs` `[K]` and `latency_ms` `[K]` (None where latency was not measured) count the backbone up to the exit, every
    branch up to it and every decision up to it: `c_k = b_k + a_1 + ... + a_k`. `parameters` is the whole network's.
    """

    macs: NDArray[np.float64]
    latency_ms: NDArray[np.float64] | None
    parameters: int


def exit_costs(design: Design, profile: Profile, branches: Sequence[BranchCost]) -> ExitCosts:
    """Compose the profile of the backbone with the costs of the design's branches, given in depth order.

    A decision costs one multiply-accumulate a class (the normalisation of the score) and the measured wait of the
    host; the final exit decides nothing.
    """
    at = [profile.index(placed.cut_point) for placed in design.branches]
    decision = design.num_classes
    macs, behind = [], 0
    for index, branch in zip(at, branches, strict=True):
        behind += branch.macs + decision
        macs.append(float(profile.macs[index] + behind))
    macs.append(float(profile.total_macs + behind))
    parameters = profile.total_parameters + sum(branch.parameters for branch in branches)
    return ExitCosts(np.array(macs), _latency(at, profile, branches), parameters)


def _latency(at: Sequence[int], profile: Profile, branches: Sequence[BranchCost]) -> NDArray[np.float64] | None:
    if not profile.latency_ms or profile.total_latency is None or profile.decision is None:
        return None
    wait, times = 0.0, []
    for index, branch in zip(at, branches, strict=True):
        if branch.latency is None:
            return None
        wait += branch.latency.median_ms + profile.decision.median_ms
        times.append(profile.latency_ms[index].median_ms + wait)
    times.append(profile.total_latency.median_ms + wait)
    # A prefix timed alone may come out slower than a longer one by noise; nobody waits less for more work.
    return np.maximum.accumulate(np.array(times))

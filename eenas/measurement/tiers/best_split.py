"""The exact best split for given shares of leaving: all splits of two tiers, the shortest path through more."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import MeasurementError
from eenas.measurement.tiers.part_costs import PartCosts, reaching


@dataclass(frozen=True, kw_only=True)
class BestSplit:
    """A split [T - 1] as numbers of segments, its mean cost, and whether tiers behind the first run their branches."""

    split: tuple[int, ...]
    mean: float
    cloud_branches: bool


def best_split(costs: PartCosts, shares: Sequence[float], *, cloud_branches: bool | None = None) -> BestSplit:
    """Return the split with the lowest mean cost if the shares [K] of samples leave at each exit.

    Of equal splits it is the one that stays longest on the earlier tiers. With `cloud_branches` None both forms are
    compared, and branches run behind the split if that costs no more. Without them, samples that cross the first link
    all leave at the last exit, whose accuracy they then have. Raises MeasurementError for other shares.
    """
    if cloud_branches is None:
        forms = [best_split(costs, shares, cloud_branches=each) for each in (True, False)]
        return min(forms, key=lambda form: form.mean)
    if costs.tiers == 2:
        means = mean_of_splits(costs, shares, cloud_branches=cloud_branches)
        found = costs.length - int(np.argmin(means[::-1]))
        return BestSplit(split=(found,), mean=float(means[found]), cloud_branches=cloud_branches)
    return shortest_path(costs, shares, cloud_branches=cloud_branches)


def mean_of_splits(costs: PartCosts, shares: Sequence[float], *, cloud_branches: bool = True) -> NDArray[np.float64]:
    """Return the mean cost [L + 1] of every split of two tiers, by prefix sums in O(L + K).

    With S_i the share of samples still running after i segments, the mean of split s is the sum of S_(i-1) t_i over the
    segments of both tiers, plus the branches by the share that reaches them, plus S_s times the link (Pacheco and
    Couto, ISCC 2020, arXiv 2005.04099).
    """
    if costs.tiers != 2:
        raise MeasurementError(f"prefix sums are for two tiers, got {costs.tiers}; take the shortest path")
    running, weighted, branches = _weighted(costs, shares)
    edge = np.concatenate([[0.0], np.cumsum(weighted[0] + branches[0, 1:])])
    if cloud_branches:
        behind = np.concatenate([[0.0], np.cumsum((weighted[1] + branches[1, 1:])[::-1])])[::-1]
    else:
        alone = np.concatenate([[0.0], np.cumsum(costs.segments[1][::-1])])[::-1] + costs.branches[1, -1]
        behind = running * alone
        behind[-1] = 0.0
    crossing = running * costs.hops[0]
    crossing[-1] = 0.0
    return np.asarray(edge + crossing + behind)


def shortest_path(costs: PartCosts, shares: Sequence[float], *, cloud_branches: bool = True) -> BestSplit:
    """Return the best split of any number of tiers as a shortest path, in O(T L).

    The nodes are (tier, segments done). A step along a tier costs its segment and the branches behind it, a step to the
    next tier its link, both weighted with the share of samples still running there, which is the same on every path.
    The graph is layered, so that one pass from its end finds the path.
    """
    running, weighted, branches = _weighted(costs, shares)
    tiers, length = costs.tiers, costs.length
    value, crosses = np.zeros((tiers, length + 1)), np.zeros((tiers, length + 1), dtype=bool)
    if not cloud_branches:  # behind the first link all samples run to the end, whatever their number
        value[1:, length] = costs.branches[1:, -1]
    for tier in reversed(range(tiers)):
        whole = tier > 0 and not cloud_branches
        for done in reversed(range(length)):
            step = costs.segments[tier, done] if whole else weighted[tier, done] + branches[tier, done + 1]
            value[tier, done] = value[tier, done + 1] + step
            if tier < tiers - 1:
                link = (
                    costs.hops[tier, done] + value[tier + 1, done] if whole else running[done] * costs.hops[tier, done]
                )
                if not whole:
                    link += value[tier + 1, done] * (1.0 if cloud_branches else running[done])
                crosses[tier, done] = link < value[tier, done]
                value[tier, done] = min(link, value[tier, done])
    split, tier, done = [], 0, 0
    while tier < tiers - 1:
        if done == length or crosses[tier, done]:
            split.append(done)
            tier += 1
        else:
            done += 1
    return BestSplit(split=tuple(split), mean=float(value[0, 0]), cloud_branches=cloud_branches)


def _weighted(
    costs: PartCosts, shares: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return S [L + 1], the segments [T, L] and branches at each position [T, L + 1], weighted with their shares."""
    given = np.asarray(shares, dtype=np.float64)
    count = len(costs.after)
    if given.shape != (count,) or not (given >= 0).all() or not abs(given.sum() - 1) < 1e-6:
        raise MeasurementError(f"shares of leaving must be {count} numbers from 0 up that sum to 1, got {given}")
    leaves = np.zeros(costs.length + 1)
    np.add.at(leaves, np.array(costs.after), given)
    running = np.clip(1.0 - np.cumsum(leaves), 0.0, 1.0)
    branches = np.zeros((costs.tiers, costs.length + 1))
    for exit_, (position, reached) in enumerate(zip(costs.after, reaching(given), strict=True)):
        branches[:, position] += reached * costs.branches[:, exit_]
    return running, costs.segments * running[:-1], branches

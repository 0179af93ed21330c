"""Kendall's rank correlation of two scores of the same networks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

MIN_NETWORKS = 3
"""The smallest number of networks: the correlation of two can only be -1 or 1."""


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Kendall's tau-b of two scores of `networks` networks: 1 for the same order, -1 for the reverse.

    `ties` is the number of pairs of networks that are equal in either score. `tau` is None if it is undefined; `why` is
    then "too few" (networks) or "all equal" (in one of the scores).
    """

    tau: float | None
    networks: int
    ties: int
    why: str = ""


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> RankCorrelation:
    """Return the rank correlation of two scores [M] of the same networks.

    Kendall's tau (Kendall 1938) is the share of pairs in the same order minus the share in reverse order. tau-b
    (Kendall 1945) excludes tied pairs from the total, so it can reach 1 despite ties.
    """
    earlier, later = np.triu_indices(len(one), 1)
    ties = int(((one[earlier] == one[later]) | (other[earlier] == other[later])).sum())
    why = ""
    if len(one) < MIN_NETWORKS:
        why = "too few"
    elif np.ptp(one) == 0 or np.ptp(other) == 0:
        why = "all equal"
    tau = None if why else float(kendalltau(one, other, variant="b").statistic)
    return RankCorrelation(tau=tau, networks=len(one), ties=ties, why=why)

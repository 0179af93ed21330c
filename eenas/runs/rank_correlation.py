"""How far two scores put the same networks in one order: Kendall's rank correlation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

FEWEST = 3
"""So many networks are needed: the correlation of two can only be -1 or 1."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Kendall's tau-b of two scores of `networks` networks: 1 in the same order, -1 in the opposite one, 0 by chance.

    `ties` is the number of pairs of networks that are equal in either score. `tau` is None where it is not defined, and
    `why` then says why: there are "too few" networks, or they are "all equal" in one of the scores.
    """

    tau: float | None
    networks: int
    ties: int
    why: str = ""


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> Agreement:
    """The rank correlation of two scores [M] of the same networks.

    Kendall's tau (Kendall 1938) is the share of pairs in the same order minus the share in the opposite one; tau-b
    (Kendall 1945) leaves tied pairs out of the whole, so that it can reach 1 beside them.
    """
    earlier, later = np.triu_indices(len(one), 1)
    ties = int(((one[earlier] == one[later]) | (other[earlier] == other[later])).sum())
    why = ""
    if len(one) < FEWEST:
        why = "too few"
    elif np.ptp(one) == 0 or np.ptp(other) == 0:
        why = "all equal"
    tau = None if why else float(kendalltau(one, other, variant="b").statistic)
    return Agreement(tau=tau, networks=len(one), ties=ties, why=why)

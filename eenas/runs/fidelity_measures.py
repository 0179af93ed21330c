"""Comparison of brief, frozen and full scores of networks, by each measure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.results.front import SHARES
from eenas.runs.network_scores import NetworkScores
from eenas.runs.rank_correlation import RankCorrelation, rank_correlation


@dataclass(frozen=True, kw_only=True)
class FidelityNetwork:
    """A network of a study with its scores after brief training, on the frozen backbone, and after full training.

    `frozen` is None if its trial did not start from the branch bank. `samples` and `seconds` are those of the full
    training, including resumed parts.
    """

    trial: int
    design: str
    brief: NetworkScores
    frozen: NetworkScores | None
    full: NetworkScores
    samples: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class FidelityMeasure:
    """A comparison by one measure: accuracy within `share` of the backbone's MACs, or hypervolume (`share` None).

    `networks` is the number of networks that reach the share; the `left_out` others are in no figure. `error` is the
    mean of full minus brief scores, and `absolute_error` the mean of its absolute value; 0.01 is one point. Both are
    None if no network reaches the share.
    """

    share: float | None
    networks: int
    left_out: int
    brief_full: RankCorrelation
    frozen_full: RankCorrelation
    brief_frozen: RankCorrelation
    error: float | None
    absolute_error: float | None


def compare(networks: Sequence[FidelityNetwork]) -> tuple[FidelityMeasure, ...]:
    """Return the measures of networks: the accuracy within each of `SHARES`, then the hypervolume."""

    def within(index: int) -> Callable[[NetworkScores], float | None]:
        return lambda scores: scores.at_shares[index]

    by_share = (_measure(networks, share, within(index)) for index, share in enumerate(SHARES))
    return (*by_share, _measure(networks, None, lambda scores: scores.hypervolume))


def _measure(
    networks: Sequence[FidelityNetwork], share: float | None, value: Callable[[NetworkScores], float | None]
) -> FidelityMeasure:
    def values(scores: Sequence[NetworkScores | None]) -> NDArray[np.float64]:
        """Return the scores [M], NaN for a missing score or an unreachable share."""
        return np.array([None if each is None else value(each) for each in scores], dtype=np.float64)

    brief = values([network.brief for network in networks])
    frozen = values([network.frozen for network in networks])
    full = values([network.full for network in networks])
    errors = (full - brief)[~np.isnan(full - brief)]
    return FidelityMeasure(
        share=share,
        networks=len(errors),
        left_out=len(networks) - len(errors),
        brief_full=_correlate(brief, full),
        frozen_full=_correlate(frozen, full),
        brief_frozen=_correlate(brief, frozen),
        error=float(errors.mean()) if len(errors) else None,
        absolute_error=float(np.abs(errors).mean()) if len(errors) else None,
    )


def _correlate(one: NDArray[np.float64], other: NDArray[np.float64]) -> RankCorrelation:
    both = ~(np.isnan(one) | np.isnan(other))
    return rank_correlation(one[both], other[both])

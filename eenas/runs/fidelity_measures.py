"""How the brief, the frozen and the full scores of networks compare, by each measure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.results.front import SHARES
from eenas.runs.network_scores import NetworkScores
from eenas.runs.rank_correlation import Agreement, agreement


@dataclass(frozen=True, kw_only=True)
class FidelityNetwork:
    """One network of a study, with its score after brief training, on the frozen backbone, and after full training.

    `frozen` is None where its trial did not begin from the branch bank. `samples` and `seconds` are what the full
    training took, resumed parts included.
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
    """How the scores compare by one measure: the accuracy within `share` of the backbone's MACs, or the hypervolume.

    `share` is None for the hypervolume. `networks` reach the share, `left_out` do not and are in no figure. `error` is
    the mean of full minus brief and `absolute_error` that of its size, 0.01 being a point; None where none reach it.
    """

    share: float | None
    networks: int
    left_out: int
    brief_full: Agreement
    frozen_full: Agreement
    brief_frozen: Agreement
    error: float | None
    absolute_error: float | None


def compare(networks: Sequence[FidelityNetwork]) -> tuple[FidelityMeasure, ...]:
    """The measures of networks: the accuracy within each of `SHARES`, then the hypervolume."""

    def within(index: int) -> Callable[[NetworkScores], float | None]:
        return lambda scores: scores.at_shares[index]

    by_share = (_measure(networks, share, within(index)) for index, share in enumerate(SHARES))
    return (*by_share, _measure(networks, None, lambda scores: scores.hypervolume))


def _measure(
    networks: Sequence[FidelityNetwork], share: float | None, value: Callable[[NetworkScores], float | None]
) -> FidelityMeasure:
    def values(scores: Sequence[NetworkScores | None]) -> NDArray[np.float64]:
        """[M], NaN where a network has no such score or cannot reach the share."""
        return np.array([None if each is None else value(each) for each in scores], dtype=np.float64)

    brief = values([network.brief for network in networks])
    frozen = values([network.frozen for network in networks])
    full = values([network.full for network in networks])
    errors = (full - brief)[~np.isnan(full - brief)]
    return FidelityMeasure(
        share=share,
        networks=len(errors),
        left_out=len(networks) - len(errors),
        brief_full=_agree(brief, full),
        frozen_full=_agree(frozen, full),
        brief_frozen=_agree(brief, frozen),
        error=float(errors.mean()) if len(errors) else None,
        absolute_error=float(np.abs(errors).mean()) if len(errors) else None,
    )


def _agree(one: NDArray[np.float64], other: NDArray[np.float64]) -> Agreement:
    both = ~(np.isnan(one) | np.isnan(other))
    return agreement(one[both], other[both])

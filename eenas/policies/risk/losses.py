"""The loss of leaving early: 0 or 1 for each sample and exit, against the answer without early exits."""

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, nearest
from eenas.policies.risk.guarantee import LOSSES


def losses_of(answers: NDArray[np.int64], labels: NDArray[np.int64], loss: str = "gap") -> NDArray[np.float64]:
    """Return the losses [N, K] of `answers` [N, K] at each exit, the final one last, with `labels` [N].

    "gap" is 1 where the final exit is right and the exit is wrong; its mean is at least the drop of accuracy.
    "consistency" is 1 where the answers of the exit and the final exit differ, and does not use the labels. Both are 0
    at the final exit. Raises PolicyError for another loss.
    """
    if loss not in LOSSES:
        raise PolicyError(f"unknown loss {loss!r:.60}; {nearest(str(loss), LOSSES)}")
    differs = answers != answers[:, [-1]]
    if loss == "gap":
        differs &= (answers[:, -1] == labels)[:, None]
    return np.asarray(differs, dtype=np.float64)


def critical_limits(signals: NDArray[np.float64], losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest limit [N] at which each sample has a loss, or minus infinity if there is none.

    `signals` [N, K - 1] and `losses` [N, K] (0 or 1) are those of a `SignalPolicy`. As the limit falls, a sample leaves
    at earlier exits, and its loss may return to 0. The monotone loss, the largest at this limit or a higher one, is 1
    for limits up to the critical one (Angelopoulos et al. 2024, section 4.1).
    """
    best = np.maximum.accumulate(signals, axis=1)
    before = np.concatenate([np.full((len(signals), 1), -np.inf), best[:, :-1]], axis=1)
    lossy = (signals > before) & (losses[:, :-1] > 0)
    return np.asarray(np.where(lossy, signals, -np.inf).max(axis=1, initial=-np.inf), dtype=np.float64)

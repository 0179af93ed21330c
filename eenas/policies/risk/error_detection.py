"""Detection of errors of the final exit: confusion of the exits, and the area under a ROC curve."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable


def confusion(table: ExitTable, temperatures: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the confusion of each sample, [N] (Shallow-Deep Networks, Kaya et al. 2019, section 4.2).

    It is the sum over earlier exits of the L1 distance between their probabilities and those of the final exit. The
    logits are divided by the `temperatures` [K] first.
    """
    scaled = table.logits.astype(np.float64) / np.asarray(temperatures, dtype=np.float64)[:, None]
    shares = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    distance = np.abs(shares[:, :-1] - shares[:, -1:]).sum(axis=2)
    return np.asarray(distance.sum(axis=1), dtype=np.float64)


def roc_curve(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of right and of wrong samples with at least each score, from no sample to all.

    `scores` [N] should be higher for the samples that are `wrong` [N]. Equal scores are one point of the curve. Raises
    PolicyError unless some samples are wrong and some right, and for scores that are not finite.
    """
    if not np.isfinite(scores).all():
        raise PolicyError("scores of errors must be finite, got NaN or infinity")
    if wrong.all() or not wrong.any():
        state = "wrong" if len(wrong) and wrong.all() else "right"
        raise PolicyError(f"errors can be detected if some answers are wrong and some right, got {len(wrong)} {state}")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.nonzero(np.diff(scores[order]))[0], len(scores) - 1)
    hits = np.cumsum(wrong[order])[ends] / wrong.sum()
    alarms = np.cumsum(~wrong[order])[ends] / (~wrong).sum()
    return np.append(0.0, alarms), np.append(0.0, hits)


def auroc(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the probability that a wrong sample scores higher than a right one.

    Ties count half. Raises PolicyError as `roc_curve` does.
    """
    alarms, hits = roc_curve(scores, wrong)
    return float((np.diff(alarms) * (hits[1:] + hits[:-1]) / 2).sum())

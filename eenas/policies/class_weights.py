"""Balanced accuracy: what a sample counts where every class is to count alike, and means taken with that."""

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]


def balanced_weights(labels: NDArray[np.int64]) -> Weights:
    """Weights [N] of mean 1 by which the share of right answers becomes the mean over classes of each one's share.

    Classes without a sample do not count.
    """
    counts = np.bincount(labels)
    return np.asarray(len(labels) / (np.count_nonzero(counts) * counts[labels]), dtype=np.float64)


def share_right(right: NDArray[np.bool_], weights: Weights | None) -> NDArray[np.float64]:
    """The share [...] of right answers [N, ...]; without weights each sample counts alike."""
    if weights is None:
        return np.asarray(right.mean(axis=0), dtype=np.float64)
    return np.asarray(np.tensordot(weights, right.astype(np.float64), axes=1) / len(weights))


def deciding(samples: int, weights: Weights | None) -> float:
    """How many samples of equal weight would be as noisy a measure (Kish 1965, section 8.2)."""
    return float(samples) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def measure_name(*, balanced: bool) -> str:
    """What accuracies are called where they are printed."""
    return "balanced accuracy" if balanced else "accuracy"

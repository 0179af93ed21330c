"""Balanced accuracy: sample weights that give every class the same weight, and means with these weights."""

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]


def balanced_weights(labels: NDArray[np.int64]) -> Weights:
    """Return sample weights [N] with mean 1. The weighted accuracy is the mean of the accuracies of the classes.

    Classes without a sample do not count.
    """
    counts = np.bincount(labels)
    return np.asarray(len(labels) / (np.count_nonzero(counts) * counts[labels]), dtype=np.float64)


def weighted_accuracy(right: NDArray[np.bool_], weights: Weights | None) -> NDArray[np.float64]:
    """Return the share [...] of correct answers [N, ...]. Without weights all samples count the same."""
    if weights is None:
        return np.asarray(right.mean(axis=0), dtype=np.float64)
    return np.asarray(np.tensordot(weights, right.astype(np.float64), axes=1) / len(weights))


def effective_samples(samples: int, weights: Weights | None) -> float:
    """Return the effective sample size: the number of equally weighted samples with the same noise (Kish 1965, 8.2)."""
    return float(samples) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def measure_name(*, balanced: bool) -> str:
    """Return the name of the accuracy in printed text."""
    return "balanced accuracy" if balanced else "accuracy"

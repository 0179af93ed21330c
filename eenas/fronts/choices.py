"""The choices of a front: the points that a user has reason to tell apart."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.policies.bootstrap import advantage

SAME_COST = 0.05
"""Costs that differ by less than this share are the same cost: a measured latency is no more certain."""


def beyond_guessing(largest_class: float, samples: float) -> float:
    """The accuracy that guessing the largest class stays below on so many samples, 19 times of 20 (0: not known)."""
    return largest_class + (1.645 * math.sqrt(largest_class * (1 - largest_class) / samples) if samples else 0.0)


def choices(
    accuracy: ArrayLike,
    costs: ArrayLike,
    *,
    floor: float,
    right: NDArray[np.bool_] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """Which of M points are choices, as a mask [M].

    `accuracy` [M] is better higher, `costs` [M, D] (the first decides the order) lower. A point whose accuracy is at or
    below `floor`, which guessing reaches, is none. With `right` [M, N], whether each point was right on each of
    N samples, a point is none either where a choice costs no more in every respect (within SAME_COST) and the paired
    bootstrap interval of the point's advantage in accuracy reaches zero, nor where such a choice is better beyond it;
    `weights` [N] are what the samples count (None: all alike).
    Raises FrontError for shapes that differ.
    """
    exact, dear = np.asarray(accuracy, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    if exact.ndim != 1 or dear.ndim != 2 or len(exact) != len(dear):
        raise FrontError(f"choices need accuracies [M] and costs [M, D], got shapes {exact.shape} and {dear.shape}")
    if right is not None and (right.ndim != 2 or len(right) != len(exact)):
        raise FrontError(f"right answers must be [points, samples] for {len(exact)} points, got shape {right.shape}")
    chosen = np.zeros(len(exact), dtype=np.bool_)
    for index in np.lexsort((-exact, dear[:, 0])):
        if exact[index] <= floor + 1e-12:
            continue
        chosen[index] = right is None or not any(
            (dear[other] <= dear[index] * (1 + SAME_COST)).all() and not _better(right[index], right[other], weights)
            for other in np.nonzero(chosen)[0]
        )
    for index in np.nonzero(chosen)[0]:  # cheaper by less than can be told, and worse by more than noise
        chosen[index] = right is None or not any(
            (dear[other] <= dear[index] * (1 + SAME_COST)).all() and _better(right[other], right[index], weights)
            for other in np.nonzero(chosen)[0]
        )
    return chosen


def _better(one: NDArray[np.bool_], other: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> bool:
    """Whether the interval of the first one's advantage lies above zero."""
    if weights is None and (one & ~other).sum() <= (other & ~one).sum():  # no need to draw anything
        return False
    return advantage(one, other, weights)[1] > 0

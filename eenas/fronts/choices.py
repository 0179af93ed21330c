"""The choices of a front: the points that differ by more than noise."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.policies.bootstrap import advantage

SAME_COST = 0.05
"""Costs that differ by less than this share count as equal, since measured latency is no more precise."""


def beyond_guessing(largest_class: float, samples: float) -> float:
    """Return the 95th percentile of the accuracy of guessing the largest class on `samples` samples.

    `largest_class` is the share of that class; with `samples` 0 (unknown) it is returned itself.
    """
    return largest_class + (1.645 * math.sqrt(largest_class * (1 - largest_class) / samples) if samples else 0.0)


def choices(
    accuracy: ArrayLike,
    costs: ArrayLike,
    *,
    floor: float,
    right: NDArray[np.bool_] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """Return a mask [M] of the points that are choices; higher `accuracy` [M] and lower `costs` [M, D] are better.

    Points are tried from the cheapest on, by the first cost. A point with an accuracy of at most `floor`, which
    guessing reaches, is not a choice. `right` [M, N] tells whether each point is right on each of N samples, and
    `weights` [N] weighs the samples (None: equally). With `right`, a point is not a choice either if another choice
    costs no more in every column (within SAME_COST), and the point is not better than that choice, or is worse, beyond
    the paired bootstrap interval. Raises FrontError for shapes that do not match.
    """
    exact, dear = np.asarray(accuracy, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    if exact.ndim != 1 or dear.ndim != 2 or len(exact) != len(dear):
        raise FrontError(f"choices need accuracies [M] and costs [M, D], got shapes {exact.shape} and {dear.shape}")
    if right is not None and (right.ndim != 2 or len(right) != len(exact)):
        raise FrontError(f"right must be [points, samples] for {len(exact)} points, got shape {right.shape}")
    chosen = np.zeros(len(exact), dtype=np.bool_)
    for index in np.lexsort((-exact, dear[:, 0])):
        if exact[index] <= floor + 1e-12:
            continue
        chosen[index] = right is None or not any(
            (dear[other] <= dear[index] * (1 + SAME_COST)).all() and not _better(right[index], right[other], weights)
            for other in np.nonzero(chosen)[0]
        )
    for index in np.nonzero(chosen)[0]:  # cheaper only within SAME_COST, and worse beyond noise
        chosen[index] = right is None or not any(
            (dear[other] <= dear[index] * (1 + SAME_COST)).all() and _better(right[other], right[index], weights)
            for other in np.nonzero(chosen)[0]
        )
    return chosen


def _better(one: NDArray[np.bool_], other: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> bool:
    """Whether the interval of the first point's advantage is above zero."""
    if weights is None and (one & ~other).sum() <= (other & ~one).sum():  # no bootstrap needed
        return False
    return advantage(one, other, weights)[1] > 0

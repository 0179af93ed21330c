"""The hypervolume of a front in two dimensions: the area that it dominates."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.fronts.dominance import pareto_mask

REFERENCE_COST = 1.1
"""The reference cost of a study's hypervolumes, as a multiple of the backbone's cost."""


def hypervolume(accuracy: ArrayLike, cost: ArrayLike, *, reference_cost: float, reference_accuracy: float) -> float:
    """Return the area between the front of M points and a reference point (Zitzler and Thiele 1998).

    Higher `accuracy` [M] and lower `cost` [M], usually a share of the backbone's, are better. Nothing is normalised:
    with the reference (1.1, chance) the maximum is 1.1 * (1 - chance). Points worse than the reference add nothing; an
    empty front has area 0. Raises FrontError for NaN, an infinite reference and arrays of different length.
    """
    points = np.stack(_columns(accuracy, cost), axis=1)
    if not (math.isfinite(reference_cost) and math.isfinite(reference_accuracy)):
        raise FrontError(f"a reference must be finite, got ({reference_cost}, {reference_accuracy})")
    if np.isnan(points).any():
        raise FrontError("values must not be NaN, got NaN in a point; leave it out of the hypervolume")
    points = points[(points[:, 0] > reference_accuracy) & (points[:, 1] < reference_cost)]
    points = points[pareto_mask(points, (True, False))]
    points = np.unique(points, axis=0)
    # In order of rising accuracy, and so of rising cost: each point adds a strip above the accuracy of the one before.
    heights = np.diff(points[:, 0], prepend=reference_accuracy)
    return float((heights * (reference_cost - points[:, 1])).sum())


def most_added(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    count: int,
    *,
    reference_cost: float,
    reference_accuracy: float,
) -> list[int]:
    """Select up to `count` of `curves` (accuracy, cost) greedily, each adding the most hypervolume to those before.

    Returns their indices in the order of selection, the first of equals; fewer if no other curve adds any.
    """
    accuracy, cost, area = np.zeros(0), np.zeros(0), 0.0
    left, taken = list(range(len(curves))), list[int]()
    while left and len(taken) < count:
        areas = [
            hypervolume(
                np.append(accuracy, curves[index][0]),
                np.append(cost, curves[index][1]),
                reference_cost=reference_cost,
                reference_accuracy=reference_accuracy,
            )
            for index in left
        ]
        best = int(np.argmax(areas))
        if areas[best] <= area + 1e-9:
            break
        area, index = areas[best], left.pop(best)
        taken.append(index)
        accuracy, cost = np.append(accuracy, curves[index][0]), np.append(cost, curves[index][1])
    return taken


def _columns(accuracy: ArrayLike, cost: ArrayLike) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    columns = tuple(np.asarray(values, dtype=np.float64).reshape(-1) for values in (accuracy, cost))
    if len(columns[0]) != len(columns[1]):
        raise FrontError(f"every point needs one accuracy and one cost, got {len(columns[0])} and {len(columns[1])}")
    return columns

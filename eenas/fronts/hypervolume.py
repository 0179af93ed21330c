"""The hypervolume of a front of two values: how much of the plane it dominates, in one number."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.fronts.dominance import pareto_mask

REFERENCE_COST = 1.1
"""The reference of a study's hypervolumes, as a share of the backbone's cost."""


def hypervolume(accuracy: ArrayLike, cost: ArrayLike, *, reference_cost: float, reference_accuracy: float) -> float:
    """The area between points and a reference that is worse than all (Zitzler and Thiele 1998).

    `accuracy` [M] is better higher, `cost` [M], usually a share of the backbone's, lower. Nothing is normalised: with
    the reference (1.1, chance) no front reaches more than 1.1 * (1 - chance). Points that are worse than the
    reference add nothing, and neither does an empty list. Raises FrontError for NaN and lists of different length.
    """
    points = np.stack(_columns(accuracy, cost), axis=1)
    if not (math.isfinite(reference_cost) and math.isfinite(reference_accuracy)):
        raise FrontError(f"a reference must be finite, got ({reference_cost}, {reference_accuracy})")
    if np.isnan(points).any():
        raise FrontError("a point with NaN dominates nothing; leave it out of the hypervolume")
    points = points[(points[:, 0] > reference_accuracy) & (points[:, 1] < reference_cost)]
    points = points[pareto_mask(points, (True, False))]
    points = np.unique(points, axis=0)
    # By rising accuracy and therefore rising cost: each point adds the strip from the accuracy of the one before.
    heights = np.diff(points[:, 0], prepend=reference_accuracy)
    return float((heights * (reference_cost - points[:, 1])).sum())


def most_added(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    count: int,
    *,
    reference_cost: float,
    reference_accuracy: float,
) -> list[int]:
    """Up to `count` of `curves` (accuracy, cost), each the one that adds most hypervolume to those taken before it.

    Indices in the order in which they were taken, of equals the first; fewer where nothing more is added.
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
        raise FrontError(f"every point needs an accuracy and a cost, got {len(columns[0])} and {len(columns[1])}")
    return columns

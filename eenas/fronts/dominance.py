"""Dominance: which points no other point beats in every respect."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError


def pareto_mask(values: ArrayLike, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Which of `values` [M, D] are on the front, as a mask [M]; `maximise` (D) says where more is better.

    A point dominates another when it is nowhere worse and somewhere better, so that equal points of the front all
    stay. O(M log M) for two values; O(M F) for more, F being the size of the front. Raises FrontError for NaN or
    another number of values.
    """
    points = np.array(values, dtype=np.float64)
    if points.size == 0 and points.ndim < 2:
        points = points.reshape(0, len(maximise))
    if points.ndim != 2 or points.shape[1] != len(maximise) or not len(maximise):
        raise FrontError(f"points must be [points, {len(maximise)} values], got shape {points.shape}")
    if np.isnan(points).any():
        raise FrontError("a point with NaN is neither better nor worse than others; leave it out of the front")
    points[:, np.asarray(maximise, dtype=np.bool_)] *= -1
    unique, inverse = np.unique(points, axis=0, return_inverse=True)
    keep = _front_of_two(unique) if unique.shape[1] == 2 else _front(unique)
    return np.asarray(keep[inverse.reshape(-1)])


def _front_of_two(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of different points in lexicographic order, less being better: those lower than all before them."""
    if not len(points):
        return np.zeros(0, dtype=np.bool_)
    lowest = np.minimum.accumulate(points[:, 1])
    return np.concatenate([[True], points[1:, 1] < lowest[:-1]])


def _front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of different points in lexicographic order: only an earlier point can dominate a later one."""
    keep = np.zeros(len(points), dtype=np.bool_)
    left = np.arange(len(points))
    while len(left):
        first = left[0]
        keep[first] = True
        left = left[(points[left] < points[first]).any(axis=1)]
    return keep

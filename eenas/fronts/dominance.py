"""Dominance: the points that no other point dominates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError


def pareto_mask(values: ArrayLike, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Return a mask [M] of the points of `values` [M, D] on the front; `maximise` (D) marks the columns to maximise.

    A point dominates another if it is at least as good in every column and better in one; equal points all stay.
    O(M log M) for two columns, O(M F) for more, with F the size of the front. Raises FrontError for NaN and for
    another number of columns.
    """
    points = np.array(values, dtype=np.float64)
    if points.size == 0 and points.ndim < 2:
        points = points.reshape(0, len(maximise))
    if points.ndim != 2 or points.shape[1] != len(maximise) or not len(maximise):
        raise FrontError(f"values must be [points, {len(maximise)}], got shape {points.shape}")
    if np.isnan(points).any():
        raise FrontError("values must not be NaN, got NaN in a point; leave it out of the front")
    points[:, np.asarray(maximise, dtype=np.bool_)] *= -1
    unique, inverse = np.unique(points, axis=0, return_inverse=True)
    keep = _front_of_two(unique) if unique.shape[1] == 2 else _front(unique)
    return np.asarray(keep[inverse.reshape(-1)])


def _front_of_two(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the front of distinct points [M, 2] in lexicographic order, lower is better."""
    if not len(points):
        return np.zeros(0, dtype=np.bool_)
    lowest = np.minimum.accumulate(points[:, 1])
    return np.concatenate([[True], points[1:, 1] < lowest[:-1]])


def _front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the front of distinct points in lexicographic order; only earlier points can dominate later ones."""
    keep = np.zeros(len(points), dtype=np.bool_)
    left = np.arange(len(points))
    while len(left):
        first = left[0]
        keep[first] = True
        left = left[(points[left] < points[first]).any(axis=1)]
    return keep

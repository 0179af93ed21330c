"""Agreement of two maps of relevance: rank correlation, and overlap of their most relevant places; NumPy only."""

import numpy as np
from numpy.typing import NDArray

TOP = 0.2
"""The share of the places that counts as most relevant."""

Maps = NDArray[np.float32]


def spearman(one: Maps, other: Maps) -> NDArray[np.float64]:
    """Return Spearman's rank correlation [n] of maps [n, ...], with mean ranks for ties; NaN for a constant map."""
    ranks = [_centred_ranks(maps.reshape(len(maps), -1)) for maps in (one, other)]
    norm = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(norm > 0, (ranks[0] * ranks[1]).sum(axis=1) / norm, np.nan), dtype=np.float64)


def overlap(one: Maps, other: Maps, top: float = TOP) -> NDArray[np.float64]:
    """Return the intersection over union [n] of the `top` share of places of maps [n, ...]; NaN for a constant map.

    Ties go to the first places in row-major order.
    """
    first, second = (maps.reshape(len(maps), -1) for maps in (one, other))
    count = max(1, round(top * first.shape[1]))
    inside = [most_relevant(maps, count) for maps in (first, second)]
    shared = (inside[0] & inside[1]).sum(axis=1)
    constant = np.logical_or(*(np.ptp(maps, axis=1) == 0 for maps in (first, second)))
    return np.where(constant, np.nan, shared / (2 * count - shared))


def most_relevant(maps: Maps, count: int) -> NDArray[np.bool_]:
    """Return a mask [n, places] of the `count` most relevant places of maps [n, places]."""
    order = np.argsort(-maps, axis=1, kind="stable")
    inside = np.zeros(maps.shape, dtype=np.bool_)
    np.put_along_axis(inside, order[:, :count], True, axis=1)
    return inside


def _centred_ranks(maps: Maps) -> NDArray[np.float64]:
    """Return the ranks [n, places] minus their mean; ties have the mean of their ranks."""
    found = np.empty(maps.shape, dtype=np.float64)
    for row, values in enumerate(maps):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        found[row] = (ends - (counts + 1) / 2)[inverse]
    found -= found.mean(axis=1, keepdims=True)
    return found

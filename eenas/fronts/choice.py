"""The choice of one point of a front: the knee, or the cheapest point that is accurate enough."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.fronts.dominance import pareto_mask

_SLACK = 1e-9


def knee(accuracy: ArrayLike, cost: ArrayLike) -> int:
    """Return the index of the front's knee; higher `accuracy` [M] and lower `cost` [M] are better.

    Accuracy and cost are scaled to [0, 1] over the front. The knee is the point farthest above the line from the
    cheapest to the most accurate point (Das 1999), or the most accurate point if none is above that line. Dominated
    points are never chosen. Raises FrontError if there is no point.
    """
    right, dear = _points(accuracy, cost)
    front = np.nonzero(pareto_mask(np.stack([right, dear], axis=1), (True, False)))[0]
    front = front[np.lexsort((front, dear[front]))]
    above = _scaled(right[front]) - _scaled(dear[front])
    return int(front[np.argmax(above)]) if above.max() > _SLACK else int(front[np.argmax(right[front])])


def cheapest_within(accuracy: ArrayLike, cost: ArrayLike, *, floor: float) -> int | None:
    """Return the index of the cheapest of M points with an accuracy of at least `floor`, or None.

    Among equally cheap points the most accurate one is returned.
    """
    right, dear = np.asarray(accuracy, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    good = np.nonzero(right >= floor - _SLACK)[0]
    return int(good[np.lexsort((-right[good], dear[good]))[0]]) if len(good) else None


def _points(accuracy: ArrayLike, cost: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    right = np.asarray(accuracy, dtype=np.float64).reshape(-1)
    dear = np.asarray(cost, dtype=np.float64).reshape(-1)
    if len(right) != len(dear):
        raise FrontError(f"every point needs one accuracy and one cost, got {len(right)} and {len(dear)}")
    if not len(right):
        raise FrontError("there is no point to choose from; search until a trial has finished")
    return right, dear


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else np.zeros_like(values)

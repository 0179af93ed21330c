"""The choice of one point of a front: the knee, or the cheapest that is accurate enough."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import FrontError
from eenas.fronts.dominance import pareto_mask

_SLACK = 1e-9


def knee(accuracy: ArrayLike, cost: ArrayLike) -> int:
    """The index of the point where the front bends most: accuracy [M] is better higher, cost [M] lower.

    Both are scaled to [0, 1] over the front; the knee is the point that lies farthest above the line from the front's
    cheapest to its most accurate point (Das 1999). Where none lies above it, it is the most accurate one. Points that
    are dominated are never taken. Raises FrontError when there is no point.
    """
    right, dear = _points(accuracy, cost)
    front = np.nonzero(pareto_mask(np.stack([right, dear], axis=1), (True, False)))[0]
    front = front[np.lexsort((front, dear[front]))]
    above = _scaled(right[front]) - _scaled(dear[front])
    return int(front[np.argmax(above)]) if above.max() > _SLACK else int(front[np.argmax(right[front])])


def cheapest_within(accuracy: ArrayLike, cost: ArrayLike, *, floor: float) -> int | None:
    """The index of the cheapest point [M] whose accuracy is at least `floor`; of equals the most accurate. Or None."""
    right, dear = np.asarray(accuracy, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    good = np.nonzero(right >= floor - _SLACK)[0]
    return int(good[np.lexsort((-right[good], dear[good]))[0]]) if len(good) else None


def _points(accuracy: ArrayLike, cost: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    right = np.asarray(accuracy, dtype=np.float64).reshape(-1)
    dear = np.asarray(cost, dtype=np.float64).reshape(-1)
    if len(right) != len(dear):
        raise FrontError(f"every point needs an accuracy and a cost, got {len(right)} and {len(dear)}")
    if not len(right):
        raise FrontError("there is no point to choose from; search until a trial has finished")
    return right, dear


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else np.zeros_like(values)

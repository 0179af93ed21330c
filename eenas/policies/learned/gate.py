"""A gate: the small network of one exit that turns features into the logit of the probability to stop."""

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.values import numbers_of

MOST_UNITS = 256
"""The largest number of hidden units of a gate."""
LARGEST = 1e6
"""The largest absolute weight of a gate."""

Rows = tuple[tuple[float, ...], ...]


class Gate:
    """g(x) = c + v · max(0, W x + b) with H hidden units, or c + v · x without, of F features x.

    `first` holds H rows of F weights and one bias, one after another; it is empty for a linear gate. `last` holds the H
    (or F) weights and the bias of the output.
    """

    def __init__(self, first: Sequence[float], last: Sequence[float], features: int) -> None:
        self.linear = len(first) == 0
        self.output, self.bias = np.array(last[:-1], dtype=np.float64), float(last[-1])
        hidden = np.array(first, dtype=np.float64).reshape(-1, features + 1)
        self.weights, self.biases = np.ascontiguousarray(hidden[:, :-1]), np.ascontiguousarray(hidden[:, -1])
        self._quick = np.ascontiguousarray(hidden), np.zeros(len(hidden)), self.output.tolist()
        self._columns = [np.ascontiguousarray(self.weights[:, i]) for i in range(features)]

    def exact(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits [n] of features [n, F], summed in a fixed order: bitwise the same in any batch."""
        if self.linear:
            total = np.full(len(x), self.bias)
            for i, weight in enumerate(self.output):
                total += x[:, i] * weight
            return total
        units = np.tile(self.biases, (len(x), 1))
        for i, column in enumerate(self._columns):
            units += x[:, i : i + 1] * column
        np.maximum(units, 0.0, out=units)
        units *= self.output
        return np.asarray(units.sum(axis=1) + self.bias)

    def quick(self, x: list[float]) -> float:
        """Return the logit of one sample's features [F], up to rounding."""
        weights, zeros, output = self._quick
        if self.linear:
            return float(sum(map(operator.mul, x, output))) + self.bias
        units = weights.dot(np.array([*x, 1.0]))
        units = np.maximum(units, zeros)
        return float(self.output.dot(units)) + self.bias

    def slope(self, features: Sequence[int]) -> float:
        """Return a bound on the change of the logit if each of these features changes by at most 1."""
        sizes = np.abs(self.weights[:, list(features)]).sum(axis=1) if not self.linear else None
        if sizes is None:
            return float(np.abs(self.output[list(features)]).sum())
        return float((np.abs(self.output) * sizes).sum())


def gate_rows(first: object, last: object, features: int, gates: int) -> tuple[Rows, Rows]:
    """Return the weights of `gates` gates of so many features as tuples of floats.

    Raises PolicyError for counts that do not match, more than MOST_UNITS hidden units, and numbers that are not finite
    or above LARGEST.
    """
    for name, rows in (("first", first), ("last", last)):
        if not isinstance(rows, list | tuple) or len(rows) != gates:
            raise PolicyError(f"the gates' weights {name!r} must be {gates} lists of numbers, one for each branch")
    found = numbers_of("weights of gates", first), numbers_of("weights of gates", last)  # type: ignore[arg-type]
    for one, other in zip(*found, strict=True):
        units = len(other) - 1
        expected = (features + 1) * units if one else 0
        if len(one) != expected or not 1 <= units <= MOST_UNITS or (not one and units != features):
            counts = f"{len(one)} and {len(other)}"
            raise PolicyError(
                f"a gate of {features} features needs {features + 1} weights for each of 1 to {MOST_UNITS} hidden "
                f"units and one more than these for its output, got {counts}; fit it again"
            )
    if max((abs(value) for rows in found for row in rows for value in row), default=0.0) > LARGEST:
        raise PolicyError(f"weights of gates must be at most {LARGEST:g}, got a larger one; fit them again")
    return found

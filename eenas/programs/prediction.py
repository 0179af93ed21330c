"""The answers of an exported model to a batch, and the counts of one of its exits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answers to a batch of N samples, in the order of the input.

    `classes` int64 [N] are the classes that the policy answers. `exits` int64 [N] are the exits where the samples left;
    0 is the first. `logits` float32 [N, num_classes] are those of that exit before temperature scaling; `temperatures`
    has one value for each exit. `exit_names` are the exits in depth order.
    """

    classes: NDArray[np.int64]
    exits: NDArray[np.int64]
    logits: NDArray[np.float32]
    exit_names: tuple[str, ...]
    temperatures: tuple[float, ...]

    @property
    def confidences(self) -> NDArray[np.float64]:
        """The probability [N] of each answer at the exit where the sample left, at that exit's temperature."""
        each = np.asarray(self.temperatures)[self.exits][:, None]
        return _softmax(self.logits / each)[np.arange(len(self.classes)), self.classes]


@dataclass(frozen=True, kw_only=True)
class ExitStatistics:
    """Counts and times of one exit since the last reset.

    `reached` samples reached the exit and `left` of them left there. `seconds` is the time in its segment, `deciding`
    the time in the policy.
    """

    name: str
    reached: int
    left: int
    seconds: float
    deciding: float


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # logits may be infinite or NaN
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

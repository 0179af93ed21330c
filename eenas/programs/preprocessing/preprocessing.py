"""The contract of preprocessing: a network's transform in NumPy, for where there is no torch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError


class Preprocessing(ABC):
    """What is given to a model turned into what its programs take: float32 [N, *shape].

    `prepare` makes of single samples, wherever they are, a batch that `checked` takes; `checked` transforms what is raw
    and refuses what a program does not take.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample that programs take."""

    @abstractmethod
    def prepare(self, sources: Sequence[Any]) -> NDArray[Any]:
        """Samples made ready as in training: a batch that `checked` takes."""

    @abstractmethod
    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Transform a raw batch, as a task gives it. Raises InputError for another shape or type."""

    @abstractmethod
    def checked(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The batch as programs take it. Raises InputError when it is not what the model takes."""

    def blank(self, batch: int) -> NDArray[np.float32]:
        """So many samples of zeros, as programs take them."""
        return np.zeros((batch, *self.shape), dtype=np.float32)


def check_is_array(batch: Any) -> None:
    """Raise InputError for a batch that is no plain NumPy array."""
    if not isinstance(batch, np.ndarray):
        raise InputError(f"a batch is a NumPy array, got {type(batch).__name__}; convert it with numpy.asarray")
    if isinstance(batch, np.ma.MaskedArray):
        raise InputError("a batch is an array without a mask, got a masked one; fill it: batch.filled(0)")


def check_finite(batch: NDArray[np.float32]) -> None:
    """Raise InputError naming the first sample of [N, ...] that holds NaN or infinity."""
    # The sum of finite numbers is finite but for an overflow, and a few times faster than a look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(batch.sum())
    if not math.isfinite(total) and not np.isfinite(batch).all():
        bad = np.flatnonzero(~np.isfinite(batch).all(axis=tuple(range(1, batch.ndim))))
        raise InputError(f"a batch is finite numbers, got NaN or infinity in sample {bad[0]} of {len(batch)}")

"""The contract of preprocessing: a network's transform in NumPy, for use without torch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError


class Preprocessing(ABC):
    """Converts samples to inputs of a program: one array [N, *shape] of `dtype`.

    `prepare` makes a batch for `checked` from single samples in files or memory. `checked` transforms raw batches and
    rejects batches that a program does not accept.

    `files` names the samples of this kind in messages about files: "image", "series".
    """

    files: ClassVar[str] = "sample"

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample as the programs take it. An axis of any length has 0."""

    @property
    def dtype(self) -> str:
        """The type of the array: "float32", or "int64" for ids of tokens."""
        return "float32"

    @abstractmethod
    def prepare(self, sources: Sequence[Any]) -> NDArray[Any]:
        """Return samples prepared as for training: a batch for `checked`."""

    @abstractmethod
    def __call__(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Transform a raw batch as a task yields it. Raises InputError for any other shape or type."""

    @abstractmethod
    def checked(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Return the batch as the programs take it. Raises InputError if the model does not accept it."""

    def file_endings(self) -> tuple[str, ...]:
        """The extensions of the files that `prepare` reads, lower-case with dots. By default it reads none."""
        return ()

    def opened_in(self, folder: Path) -> "Preprocessing":
        """The same with its files in the folder of a model, such as a tokenizer. By default there are none."""
        return self

    def blank(self, batch: int) -> NDArray[Any]:
        """Return a batch of `batch` samples of zeros, as the programs take it. An axis of any length has one."""
        return np.zeros((batch, *(side or 1 for side in self.shape)), dtype=self.dtype)


def check_is_array(batch: Any) -> None:
    """Raise InputError unless the batch is a plain NumPy array."""
    if not isinstance(batch, np.ndarray):
        raise InputError(f"a batch must be a NumPy array, got {type(batch).__name__}; convert it with numpy.asarray")
    if isinstance(batch, np.ma.MaskedArray):
        raise InputError("a batch must be an array without a mask, got a masked array; use batch.filled(0)")


def check_finite(batch: NDArray[np.float32]) -> None:
    """Raise InputError with the first sample of [N, ...] that contains NaN or infinity."""
    # The sum of finite numbers is finite unless it overflows, and is several times faster than testing each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(batch.sum())
    if not math.isfinite(total) and not np.isfinite(batch).all():
        bad = np.flatnonzero(~np.isfinite(batch).all(axis=tuple(range(1, batch.ndim))))
        raise InputError(f"a batch must be finite numbers, got NaN or infinity in sample {bad[0]} of {len(batch)}")

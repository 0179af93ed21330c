"""The input transform in NumPy: raw images turned into what a program takes, as the network's own transform does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in the network's transform


@dataclass(frozen=True)
class Preprocessing:
    """Images uint8 [N, 1 or C, S, S] to float32 [N, channels, S, S]: scaled to [0, 1], then `(x - mean) / std`.

    `size` is S in pixels. A grey image is repeated for a network of several channels, a colour image reduced to its
    luma for one of one. Raises InputError for numbers that no image can have.
    """

    size: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse what a damaged manifest may hold."""
        numbers = [*self.mean, *self.std]
        if len(self.mean) != self.channels or len(self.std) != self.channels or not all(map(math.isfinite, numbers)):
            raise InputError(f"mean and std must be {self.channels} finite numbers each, got {numbers}")
        if self.size < 1 or min(self.std) <= 0:
            raise InputError(f"size and std must be positive, got {self.size} and {list(self.std)}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """What a sample has after it: (channels, S, S)."""
        return (self.channels, self.size, self.size)

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Transform a batch uint8 [N, 1 or C, S, S]. Raises InputError for another shape or type."""
        square = (self.size, self.size)
        channels = images.shape[1] if images.ndim == 4 else 0
        if images.dtype != np.uint8 or images.shape[2:] != square or channels not in {1, 3, self.channels}:
            raise self._refused(images)
        if channels not in (1, self.channels) and self.channels != 1:
            raise self._refused(images)
        scaled = images.astype(np.float32)
        scaled /= np.float32(255)
        if self.channels == 1 and channels == 3:
            scaled = (scaled * _column(LUMA)).sum(axis=1, keepdims=True)
        return np.asarray((scaled - _column(self.mean)) / _column(self.std))

    def _refused(self, images: NDArray[Any]) -> InputError:
        wanted = f"uint8 [N, {self.channels} or 1, {self.size}, {self.size}] (channels before rows)"
        return InputError(f"images must be {wanted}, got {images.dtype} {list(images.shape)}")


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)

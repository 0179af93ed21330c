"""The transform of images in NumPy: raw images turned into what a program takes, as the network's transform does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.programs.preprocessing.preprocessing import Preprocessing, check_finite, check_is_array
from eenas.tasks.images.frame import FITS, Fit, Frame, canonical_size
from eenas.tasks.images.picture import prepare_picture
from eenas.tasks.images.statistics import check_statistics

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in the network's transform


@dataclass(frozen=True)
class ImagePreprocessing(Preprocessing):
    """Images uint8 [N, 1 or C, H, W] to float32 [N, channels, H, W]: scaled to [0, 1], then `(x - mean) / std`.

    `size` in pixels is H and W in one number, or (H, W). A grey image is repeated for a network of several channels, a
    colour image reduced to its luma for one of one. `fit` and `white` are those of `picture`. Raises InputError for
    numbers that no image can have.
    """

    size: int | Sequence[int]
    channels: int
    mean: Sequence[float]
    std: Sequence[float]
    fit: Fit = "crop"
    white: int | None = None

    def __post_init__(self) -> None:
        """Refuse what a damaged manifest may hold."""
        numbers = [*self.mean, *self.std]
        if len(self.mean) != self.channels or len(self.std) != self.channels or not all(map(math.isfinite, numbers)):
            raise InputError(f"mean and std must be {self.channels} finite numbers each, got {numbers}")
        check_statistics(self.mean, self.std)
        if self.fit not in FITS:
            raise InputError(f"fit is one of {', '.join(FITS)}, got {self.fit!r}")
        try:
            size = self.size if isinstance(self.size, int) else tuple(self.size)
            object.__setattr__(self, "frame", Frame.of(canonical_size(size), self.fit))
        except (ValueError, TypeError):
            raise InputError(f"size must be positive, a number or [H, W], got {self.size!r}") from None

    frame: Frame = field(init=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """What a sample has after it: (channels, H, W)."""
        return (self.channels, self.frame.height, self.frame.width)

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.uint8]:
        """Pictures (paths, arrays, as `prepare_picture` takes them) made ready as in training: uint8 [N, C, H, W].

        Raises PictureError for one that cannot be read.
        """
        made = [prepare_picture(each, self.frame, self.channels, self.white) for each in sources]
        return np.stack(made) if made else np.zeros((0, *self.shape), dtype=np.uint8)

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Transform a batch uint8 [N, 1 or C, H, W]. Raises InputError for another shape or type."""
        channels = images.shape[1] if images.ndim == 4 else 0
        if images.dtype != np.uint8 or images.shape[2:] != self.shape[1:] or channels not in {1, 3, self.channels}:
            raise self._refused(images)
        if channels not in (1, self.channels) and self.channels != 1:
            raise self._refused(images)
        scaled = images.astype(np.float32)
        scaled /= np.float32(255)
        if self.channels == 1 and channels == 3:
            scaled = (scaled * _column(LUMA)).sum(axis=1, keepdims=True)
        return np.asarray((scaled - _column(self.mean)) / _column(self.std))

    def checked(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The batch as float32 [N, channels, H, W]: transformed here where it is uint8.

        Raises InputError when it is not what the model takes.
        """
        check_is_array(batch)
        if batch.dtype == np.uint8:
            return self(batch)
        if batch.dtype != np.float32 or batch.shape[1:] != self.shape or batch.ndim != 4:
            wanted = f"[N, {', '.join(str(side) for side in self.shape)}]"
            got = f"{batch.dtype} {list(batch.shape)}"
            raise InputError(f"a batch is float32 {wanted}, or images uint8 {wanted}, got {got}")
        check_finite(batch)
        return np.ascontiguousarray(batch)

    def _refused(self, images: NDArray[Any]) -> InputError:
        wanted = f"uint8 [N, {self.channels} or 1, {self.frame.height}, {self.frame.width}] (channels before rows)"
        return InputError(f"images must be {wanted}, got {images.dtype} {list(images.shape)}")


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)

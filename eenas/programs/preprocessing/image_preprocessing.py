"""The transform of images in NumPy: it converts raw images to inputs of a program, like the network's transform."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError
from eenas.programs.preprocessing.preprocessing import Preprocessing, check_finite, check_is_array
from eenas.tasks.images.frame import FITS, Fit, Frame, canonical_size
from eenas.tasks.images.picture import image_endings, prepare_picture
from eenas.tasks.images.statistics import check_statistics

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in the network's transform


@dataclass(frozen=True)
class ImagePreprocessing(Preprocessing):
    """Converts images uint8 [N, 1 or C, H, W] to float32 [N, channels, H, W]: `(x / 255 - mean) / std`.

    `size` in pixels is one number for H and W, or (H, W). A network of several channels gets a grey image repeated. A
    network of one channel gets the luma of a colour image. `fit` and `white` are those of `prepare_picture`. Raises
    InputError for invalid numbers.
    """

    files: ClassVar[str] = "image"
    size: int | Sequence[int]
    channels: int
    mean: Sequence[float]
    std: Sequence[float]
    fit: Fit = "crop"
    white: int | None = None

    def __post_init__(self) -> None:
        """Check the values, which may come from a damaged manifest."""
        numbers = [*self.mean, *self.std]
        if len(self.mean) != self.channels or len(self.std) != self.channels or not all(map(math.isfinite, numbers)):
            raise InputError(f"mean and std must be {self.channels} finite numbers each, got {numbers}")
        check_statistics(self.mean, self.std)
        if self.fit not in FITS:
            raise InputError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}")
        try:
            size = self.size if isinstance(self.size, int) else tuple(self.size)
            object.__setattr__(self, "frame", Frame.of(canonical_size(size), self.fit))
        except (ValueError, TypeError):
            raise InputError(f"size must be positive, a number or [H, W], got {self.size!r}") from None

    frame: Frame = field(init=False)

    def file_endings(self) -> tuple[str, ...]:
        """See `Preprocessing.file_endings`."""
        return image_endings()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a transformed sample: (channels, H, W)."""
        return (self.channels, self.frame.height, self.frame.width)

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.uint8]:
        """Return pictures, as `prepare_picture` accepts them, prepared as for training: uint8 [N, C, H, W].

        Raises PictureError for a picture that cannot be read.
        """
        made = [prepare_picture(each, self.frame, self.channels, self.white) for each in sources]
        return np.stack(made) if made else np.zeros((0, *self.shape), dtype=np.uint8)

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Transform a batch uint8 [N, 1 or C, H, W]. Raises InputError for any other shape or type."""
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
        """Return the batch as float32 [N, channels, H, W]. A uint8 batch is transformed.

        Raises InputError if the model does not accept the batch.
        """
        check_is_array(batch)
        if batch.dtype == np.uint8:
            return self(batch)
        if batch.dtype != np.float32 or batch.shape[1:] != self.shape or batch.ndim != 4:
            wanted = f"[N, {', '.join(str(side) for side in self.shape)}]"
            got = f"{batch.dtype} {list(batch.shape)}"
            raise InputError(f"a batch must be float32 {wanted}, or images uint8 {wanted}, got {got}")
        check_finite(batch)
        return np.ascontiguousarray(batch)

    def _refused(self, images: NDArray[Any]) -> InputError:
        wanted = f"uint8 [N, {self.channels} or 1, {self.frame.height}, {self.frame.width}] (channels before rows)"
        return InputError(f"images must be {wanted}, got {images.dtype} {list(images.shape)}")


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)

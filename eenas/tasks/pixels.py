"""The images of one source, whatever holds them, and the tensors made of them."""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eenas.errors import TaskError

KEEP_BYTES = 2 << 30  # resized images up to this many bytes for each source and size stay in memory
_CHUNK = 512  # images resized at once, so that the intermediate values stay small


class Pixels(ABC):
    """All images of one source, in the order of its labels.

    `size` is the image size in pixels that the source prefers (None: none), `channels` how many its images have,
    `digest` 16 hexadecimal digits of the content. Only the largest centred square of an image is shown.
    """

    def __init__(self, size: int | None, channels: int, digest: str) -> None:
        self.size, self.channels, self.digest = size, channels, digest
        self._kept: dict[tuple[int, int], KeptPixels] = {}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, rows: NDArray[np.int64], size: int, channels: int) -> Tensor:
        """Images uint8 [n, channels, size, size], made anew. `channels` is the source's own, or 1 of 3, or 3 of 1.

        Raises TaskError when an image cannot be decoded.
        """

    def worth_keeping(self, size: int, channels: int) -> bool:
        """Whether `read` at this size is work that need not be done twice."""
        return True

    def kept(self, size: int, channels: int) -> "KeptPixels":
        """These images at one size, shared by all splits of this source."""
        if (size, channels) not in self._kept:
            self._kept[size, channels] = KeptPixels(self, size, channels)
        return self._kept[size, channels]


@final
class ArrayPixels(Pixels):
    """Images held in memory: uint8 [n, H, W, C], copied. `size` defaults to the shorter side."""

    def __init__(self, images: NDArray[np.uint8], digest: str, size: int | None = None) -> None:
        # contiguous as [n, C, H, W]; np.array copies, so that a later change of the caller's array changes nothing
        self._images = centred_square(torch.from_numpy(np.array(np.moveaxis(images, 3, 1), order="C")))
        super().__init__(size or int(self._images.shape[2]), int(images.shape[3]), digest)

    def __len__(self) -> int:
        return len(self._images)

    def worth_keeping(self, size: int, channels: int) -> bool:
        """Only where images are resized or their colour is reduced."""
        return (size, channels) != (self._images.shape[2], self.channels)

    def read(self, rows: NDArray[np.int64], size: int, channels: int) -> Tensor:
        """Gather, reduce to grey where asked, resize."""
        images = self._images[torch.from_numpy(rows)]
        if channels == 1 and self.channels == 3:
            images = grey(images)
        return (
            torch.cat([resize(part, size) for part in torch.split(images, _CHUNK)])
            if len(rows)
            else images.new_empty((0, images.shape[1], size, size))
        )


@final
class KeptPixels:
    """The images of a source at one size, each read when it is first asked for and kept as long as they fit."""

    def __init__(self, pixels: Pixels, size: int, channels: int) -> None:
        self._pixels, self._size, self._channels = pixels, size, channels
        fits = len(pixels) * channels * size * size <= KEEP_BYTES
        self._kept: Tensor | None = None
        if fits and pixels.worth_keeping(size, channels):
            with torch.inference_mode(False):  # whoever asks first, training writes to it later
                self._kept = torch.empty((len(pixels), channels, size, size), dtype=torch.uint8)
            self._have = np.zeros(len(pixels), dtype=bool)

    def read(self, rows: NDArray[np.int64]) -> Tensor:
        """Images uint8 [n, channels, size, size]. Threads may read at once: at worst one image is made twice."""
        if self._kept is None:
            return self._pixels.read(rows, self._size, self._channels)
        missing = np.unique(rows[~self._have[rows]])
        if len(missing):
            self._kept[torch.from_numpy(missing)] = self._pixels.read(missing, self._size, self._channels)
            self._have[missing] = True
        return self._kept[torch.from_numpy(rows)]


def centred_square(images: Tensor) -> Tensor:
    """The largest centred square of images [n, C, H, W]."""
    height, width = int(images.shape[2]), int(images.shape[3])
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side].contiguous()


def resize(images: Tensor, size: int) -> Tensor:
    """Square uint8 images [n, C, S, S] to [n, C, size, size]: bilinear, with antialiasing when they shrink."""
    if images.shape[2] == size:
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def grey(images: Tensor) -> Tensor:
    """Colour images uint8 [n, 3, H, W] to their ITU-R BT.601 luma [n, 1, H, W], rounded as Pillow does."""
    red, green, blue = images.to(torch.int32).unbind(dim=1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def check_channels(have: int, wanted: int) -> None:
    """Raise TaskError unless images of `have` channels can be shown as `wanted`: 1 as any, 3 as 1, else the same."""
    if wanted != have and have != 1 and (have, wanted) != (3, 1):
        raise TaskError(f"images of {have} channels cannot be shown to a backbone of {wanted}; give images of {wanted}")

"""The images of one source, whatever holds them, and the tensors made of them."""

import copy
import hashlib
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eenas.errors import TaskError
from eenas.tasks.images.augmentation import augment
from eenas.tasks.images.frame import BORDER, Fit, Frame, Size
from eenas.tasks.images.image_input import fit_of, image_input, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples

KEEP_BYTES = 2 << 30  # resized images up to this many bytes for each source and size stay in memory
_CHUNK = 512  # images resized at once, so that the intermediate values stay small


class Pixels(Samples):
    """All images of one source, in the order of its labels.

    `size` is the image size in pixels that the source prefers (None: none), `fit` how images of other proportions are
    fitted into it, `channels` how many its images have, `digest` 16 hexadecimal digits of the content. `white` is the
    value that became white of images of more than 8 bits (None: there are none).
    """

    white: int | None = None

    def __init__(self, size: Size | None, channels: int, digest: str, fit: Fit = "crop") -> None:
        self.size, self.channels, self.digest, self.fit = size, channels, digest, fit
        self._kept: dict[tuple[Frame, int], KeptPixels] = {}

    @property
    def inputs(self) -> InputSpec:
        """Images of the size that the source prefers."""
        return image_input(self.size, self.channels, self.fit, self.white)

    @property
    @abstractmethod
    def sizes(self) -> NDArray[np.int64]:
        """(width, height) of each image, [n, 2]."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Images uint8 [n, channels, H, W] of the frame, made anew.

        `channels` is the source's own, or 1 of 3, or 3 of 1. Raises TaskError when an image cannot be decoded.
        """

    def worth_keeping(self, frame: Frame, channels: int) -> bool:
        """Whether `read` in this frame is work that need not be done twice."""
        return True

    def fitted(self, fit: Fit) -> "Pixels":
        """The same images with another fit."""
        other = copy.copy(self)
        other.fit, other._kept = fit, {}
        return other

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "ImageReader":
        """The images at `rows` as uint8 [n, channels, H, W].

        The part that the fit shows (see `Frame`) is resized (bilinear). A grey image is repeated for several channels,
        a colour image reduced to its luma for one. Resized images are kept for the life of the task while those of a
        source take at most 2 GiB. Raises TaskError where no size is named, for other kinds and for other channels.
        """
        if inputs.kind != "images":
            raise TaskError(f"these samples are images, and the network takes {inputs}; give data of that kind")
        size, channels = size_of(inputs), inputs.size("channel") or self.channels
        if size is None:
            raise TaskError(
                "these images have no size of their own; give an input size, for example task.input_size=224"
            )
        check_channels(self.channels, channels)
        stored = 1 if self.channels == 1 else channels
        return ImageReader(self.kept(Frame.of(size, fit_of(inputs)), stored), rows, channels)

    def augmented(self, batch: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
        """Shifted a little, and half of them mirrored where that keeps the class (`augment`)."""
        return augment(batch, flip=flip, generator=generator)

    def kept(self, frame: Frame, channels: int) -> "KeptPixels":
        """These images in one frame, shared by all splits of this source."""
        if (frame, channels) not in self._kept:
            self._kept[frame, channels] = KeptPixels(self, frame, channels)
        return self._kept[frame, channels]


@final
class ArrayPixels(Pixels):
    """Images held in memory: uint8 [n, H, W, C], copied. `size` defaults to the shorter side."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        digest: str,
        size: Size | None = None,
        fit: Fit = "crop",
        name: str = "train_x",
    ) -> None:
        # contiguous as [n, C, H, W]; np.array copies, so that a later change of the caller's array changes nothing
        self._images = torch.from_numpy(np.array(np.moveaxis(images, 3, 1), order="C"))
        self._name = name
        super().__init__(size or min(map(int, images.shape[1:3])), int(images.shape[3]), digest, fit)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(width, height) of each image, [n, 2]."""
        return np.tile(np.array([self._images.shape[3], self._images.shape[2]], dtype=np.int64), (len(self), 1))

    @property
    def names(self) -> Sequence[str]:
        """The array's name and the position in it."""
        return [f"{self._name}[{row}]" for row in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        """A number of 64 bits for each image."""
        found = [hashlib.sha256(image.numpy().tobytes()).digest()[:8] for image in self._images]
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def worth_keeping(self, frame: Frame, channels: int) -> bool:
        """Only where images are resized or their colour is reduced."""
        return (frame.height, frame.width, channels) != (*self._images.shape[2:], self.channels)

    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Gather, reduce to grey where asked, fit into the frame."""
        images = self._images[torch.from_numpy(rows)]
        if channels == 1 and self.channels == 3:
            images = grey(images)
        return (
            torch.cat([fit_images(part, frame) for part in torch.split(images, _CHUNK)])
            if len(rows)
            else images.new_empty((0, images.shape[1], frame.height, frame.width))
        )


@final
class ImageReader:
    """The images of a split at one size, in the order of its labels; safe to index from several threads."""

    def __init__(self, kept: "KeptPixels", rows: NDArray[np.int64], channels: int) -> None:
        self._kept, self._rows, self._channels = kept, rows, channels

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Images uint8 [n, channels, H, W] at positions `indices` [n] of the split; the tensor is the caller's.

        Raises TaskError when an image cannot be decoded.
        """
        images = self._kept.read(self._rows[indices])
        return images if images.shape[1] == self._channels else images.repeat(1, self._channels, 1, 1)


@final
class KeptPixels:
    """The images of a source in one frame, each read when it is first asked for and kept as long as they fit."""

    def __init__(self, pixels: Pixels, frame: Frame, channels: int) -> None:
        self._pixels, self._frame, self._channels = pixels, frame, channels
        shape = (len(pixels), channels, frame.height, frame.width)
        self._kept: Tensor | None = None
        if math.prod(shape) <= KEEP_BYTES and pixels.worth_keeping(frame, channels):
            with torch.inference_mode(False):  # whoever asks first, training writes to it later
                self._kept = torch.empty(shape, dtype=torch.uint8)
            self._have = np.zeros(len(pixels), dtype=bool)

    def read(self, rows: NDArray[np.int64]) -> Tensor:
        """Images uint8 [n, channels, H, W]. Threads may read at once: at worst one image is made twice."""
        if self._kept is None:
            return self._pixels.read(rows, self._frame, self._channels)
        missing = np.unique(rows[~self._have[rows]])
        if len(missing):
            self._kept[torch.from_numpy(missing)] = self._pixels.read(missing, self._frame, self._channels)
            self._have[missing] = True
        return self._kept[torch.from_numpy(rows)]


def fit_images(images: Tensor, frame: Frame) -> Tensor:
    """Images uint8 [n, C, H, W] of one size in a frame: bilinear, with antialiasing where they shrink."""
    place = frame.place(int(images.shape[3]), int(images.shape[2]))
    left, top, right, bottom = place.box
    shown = images[:, :, top:bottom, left:right].contiguous()
    if tuple(shown.shape[2:]) != (place.height, place.width):
        shown = functional.interpolate(shown, size=(place.height, place.width), mode="bilinear", antialias=True)
    if (place.height, place.width) == (frame.height, frame.width):
        return shown
    whole = shown.new_full((*shown.shape[:2], frame.height, frame.width), BORDER)
    left, top = place.at
    whole[:, :, top : top + place.height, left : left + place.width] = shown
    return whole


def grey(images: Tensor) -> Tensor:
    """Colour images uint8 [n, 3, H, W] to their ITU-R BT.601 luma [n, 1, H, W], rounded as Pillow does."""
    red, green, blue = images.to(torch.int32).unbind(dim=1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def check_channels(have: int, wanted: int) -> None:
    """Raise TaskError unless images of `have` channels can be shown as `wanted`: 1 as any, 3 as 1, else the same."""
    if wanted != have and have != 1 and (have, wanted) != (3, 1):
        raise TaskError(f"images of {have} channels cannot be shown to a backbone of {wanted}; give images of {wanted}")

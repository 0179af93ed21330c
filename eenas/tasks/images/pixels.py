"""The images of one source, in memory or in files, and the tensors made from them."""

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

KEEP_BYTES = 2 << 30  # the largest memory for the resized images of a source at one size
_CHUNK = 512  # images resized at a time, to limit intermediate memory


class Pixels(Samples):
    """All images of one source, in the order of its labels.

    `size` is the preferred image size in pixels (None: none), `fit` the fit for images of other proportions, `channels`
    the number of channels, and `digest` 16 hexadecimal digits of the content. `white` is the value that maps to white
    in images of more than 8 bits (None: there are none).
    """

    white: int | None = None

    def __init__(self, size: Size | None, channels: int, digest: str, fit: Fit = "crop") -> None:
        self.size, self.channels, self.digest, self.fit = size, channels, digest, fit
        self._kept: dict[tuple[Frame, int], KeptPixels] = {}

    @property
    def inputs(self) -> InputSpec:
        """The spec of the images at the preferred size."""
        return image_input(self.size, self.channels, self.fit, self.white)

    @property
    @abstractmethod
    def sizes(self) -> NDArray[np.int64]:
        """(width, height) of each image, [n, 2]."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Return images uint8 [n, channels, H, W] of the frame, without caching.

        `channels` is that of the source, or 1 for 3, or 3 for 1.

        Raises TaskError if an image cannot be decoded.
        """

    def worth_keeping(self, frame: Frame, channels: int) -> bool:
        """Whether caching the images of this frame saves work."""
        return True

    def fitted(self, fit: Fit) -> "Pixels":
        """Return the same images with another fit."""
        other = copy.copy(self)
        other.fit, other._kept = fit, {}
        return other

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "ImageReader":
        """Return a reader of the images at `rows` as uint8 [n, channels, H, W].

        The part that the fit shows (see `Frame`) is resized with a bilinear filter. A grey image is repeated for
        several channels; a colour image is converted to luma for one. Resized images are cached if those of a source
        take at most 2 GiB.

        Raises TaskError without a size, for other kinds and for other channels.
        """
        if inputs.kind != "images":
            raise TaskError(f"the samples are images, but the network takes {inputs}; give data of that kind")
        size, channels = size_of(inputs), inputs.size("channel") or self.channels
        if size is None:
            raise TaskError("the images have no size of their own; give an input size, for example task.input_size=224")
        check_channels(self.channels, channels)
        stored = 1 if self.channels == 1 else channels
        return ImageReader(self.kept(Frame.of(size, fit_of(inputs)), stored), rows, channels)

    def augmented(self, batch: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
        """Return the images shifted a little, and half of them mirrored if `flip` is set (`augment`)."""
        return augment(batch, flip=flip, generator=generator)

    def kept(self, frame: Frame, channels: int) -> "KeptPixels":
        """Return these images in one frame, shared by all splits of this source."""
        if (frame, channels) not in self._kept:
            self._kept[frame, channels] = KeptPixels(self, frame, channels)
        return self._kept[frame, channels]


@final
class ArrayPixels(Pixels):
    """A copy of images uint8 [n, H, W, C], held in memory. `size` defaults to the shorter side."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        digest: str,
        size: Size | None = None,
        fit: Fit = "crop",
        name: str = "train_x",
    ) -> None:
        # contiguous as [n, C, H, W]; np.array copies, which protects the images from changes of the caller's array
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
        """The name of the array and the position in it."""
        return [f"{self._name}[{row}]" for row in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each image, [n]."""
        found = [hashlib.sha256(image.numpy().tobytes()).digest()[:8] for image in self._images]
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def worth_keeping(self, frame: Frame, channels: int) -> bool:
        """Whether images are resized or converted to grey."""
        return (frame.height, frame.width, channels) != (*self._images.shape[2:], self.channels)

    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Return the images, converted to grey if `channels` is 1, and fitted into the frame."""
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
    """The images of a split at one size, in the order of its labels. Indexing is thread-safe."""

    def __init__(self, kept: "KeptPixels", rows: NDArray[np.int64], channels: int) -> None:
        self._kept, self._rows, self._channels = kept, rows, channels

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return images uint8 [n, channels, H, W] at positions `indices` [n] of the split.

        The caller may change the tensor. Raises TaskError if an image cannot be decoded.
        """
        images = self._kept.read(self._rows[indices])
        return images if images.shape[1] == self._channels else images.repeat(1, self._channels, 1, 1)


@final
class KeptPixels:
    """The images of a source in one frame, read on first use, and cached if they fit into memory."""

    def __init__(self, pixels: Pixels, frame: Frame, channels: int) -> None:
        self._pixels, self._frame, self._channels = pixels, frame, channels
        shape = (len(pixels), channels, frame.height, frame.width)
        self._kept: Tensor | None = None
        if math.prod(shape) <= KEEP_BYTES and pixels.worth_keeping(frame, channels):
            with torch.inference_mode(
                False
            ):  # the first reader may be in inference mode, but training writes to it later
                self._kept = torch.empty(shape, dtype=torch.uint8)
            self._have = np.zeros(len(pixels), dtype=bool)

    def read(self, rows: NDArray[np.int64]) -> Tensor:
        """Return images uint8 [n, channels, H, W]. Thread-safe; at worst, an image is made twice."""
        if self._kept is None:
            return self._pixels.read(rows, self._frame, self._channels)
        missing = np.unique(rows[~self._have[rows]])
        if len(missing):
            self._kept[torch.from_numpy(missing)] = self._pixels.read(missing, self._frame, self._channels)
            self._have[missing] = True
        return self._kept[torch.from_numpy(rows)]


def fit_images(images: Tensor, frame: Frame) -> Tensor:
    """Return images uint8 [n, C, H, W] of one size in a frame, resized with a bilinear filter and antialiasing."""
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
    """Return the ITU-R BT.601 luma [n, 1, H, W] of colour images uint8 [n, 3, H, W], rounded as in Pillow."""
    red, green, blue = images.to(torch.int32).unbind(dim=1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def check_channels(have: int, wanted: int) -> None:
    """Raise TaskError unless images of `have` channels can be given to a network of `wanted` channels.

    Grey images go to any number, colour images to 1 or 3, and others to the same number.
    """
    if wanted != have and have != 1 and (have, wanted) != (3, 1):
        raise TaskError(f"the backbone takes images of {wanted} channels, got {have}; give images of {wanted} channels")

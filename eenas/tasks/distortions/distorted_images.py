"""The distorted versions of the images of one source, made when they are read, and kept."""

import math
import zlib
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.tasks.distortions.contexts import CLEAN, context_of
from eenas.tasks.distortions.corruption_files import CorruptionFiles
from eenas.tasks.distortions.distortion import distort_each
from eenas.tasks.images.frame import Frame, Size
from eenas.tasks.images.image_input import fit_of, image_input, size_of
from eenas.tasks.images.pixels import KEEP_BYTES, Pixels, fit_images, grey
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples

Drawn = Sequence[tuple[str, int] | None]
"""The kind and severity of each version, or None for a pristine one."""


@final
class DistortedImages(Samples):
    """Versions of the images of `pixels`: number i is image `origins[i]`, distorted as `drawn[i]` says.

    An image is distorted in the frame in which the network takes it, and depends on its position in the source, kind,
    severity and `seed` only. With `files`, distorted images come from there. Versions made on the fly are kept in
    memory if they take at most 2 GiB.
    """

    def __init__(
        self,
        pixels: Pixels,
        origins: NDArray[np.int64],
        drawn: Drawn,
        *,
        seed: int,
        files: CorruptionFiles | None = None,
    ) -> None:
        self.pixels, self.origins, self.files = pixels, np.asarray(origins, dtype=np.int64), files
        self._drawn, self._seed = list(drawn), seed
        self._contexts = np.array([CLEAN if each is None else context_of(*each) for each in drawn])
        self._kept: dict[InputSpec, _KeptVersions] = {}
        self.digest = pixels.digest

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def inputs(self) -> InputSpec:
        """The spec of the pristine images."""
        return self.pixels.inputs

    @property
    def names(self) -> Sequence[str]:
        """The name of the image of each version, [n]."""
        names = self.pixels.names
        return [names[row] for row in self.origins]

    @property
    def contexts(self) -> NDArray[np.str_] | None:
        """The context of each version, such as "clean" or "gaussian_blur:3", [n]."""
        return self._contexts

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of the pristine image of each version, [n]."""
        return self.pixels.digests()[self.origins]

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "DistortedReader":
        """Return a reader of the versions at `rows`, like that of `Pixels`.

        Grey images are distorted as grey ones and repeated afterwards; colour images are distorted in colour.
        """
        if inputs not in self._kept:
            self._kept[inputs] = _KeptVersions(self, inputs)
        return DistortedReader(self._kept[inputs], rows)

    def augmented(self, batch: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
        """Return the batch augmented like pristine images."""
        return self.pixels.augmented(batch, flip=flip, generator=generator)

    def distorted(self, versions: NDArray[np.int64], images: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
        """Return the versions [n] of pristine `images` uint8 [n, C, H, W], which are in `frame`."""
        found = images.copy()
        contexts = self._contexts[versions]
        for context in np.unique(contexts):
            where = np.flatnonzero(contexts == context)
            drawn = self._drawn[versions[where[0]]]
            if drawn is None:
                continue
            kind, severity = drawn
            rows = self.origins[versions[where]]
            if self.files is not None:
                read = torch.from_numpy(self.files.read(kind, severity, rows))
                found[where] = _in_channels(fit_images(read, frame), images.shape[1]).numpy()
                continue
            word = zlib.crc32(kind.encode())
            generators = [np.random.default_rng((self._seed, word, severity, int(row))) for row in rows]
            found[where] = distort_each(images[where], kind, severity, generators)
        return found


@final
class DistortedReader:
    """The versions of a split in one form, in the order of its labels. Indexing is thread-safe."""

    def __init__(self, kept: "_KeptVersions", rows: NDArray[np.int64]) -> None:
        self._kept, self._rows = kept, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return images uint8 [n, channels, H, W] at positions `indices` [n] of the split."""
        return self._kept.read(self._rows[indices])


class _KeptVersions:
    """All versions in one form, made on first use, and kept if they fit into memory."""

    def __init__(self, images: DistortedImages, inputs: InputSpec) -> None:
        pixels = images.pixels
        size: Size | None = size_of(inputs)
        self._channels = inputs.size("channel") or pixels.channels
        self._images = images
        self._pristine = pixels.reader(
            np.arange(len(pixels)), image_input(size, pixels.channels, fit_of(inputs), pixels.white)
        )
        pixels.reader(np.arange(0), inputs)  # raises for a form that the images do not have
        assert size is not None  # without a size, there is no reader
        self._frame = Frame.of(size, fit_of(inputs))
        shape = (len(images), pixels.channels, self._frame.height, self._frame.width)
        self._made: Tensor | None = None
        if math.prod(shape) <= KEEP_BYTES:
            with torch.inference_mode(False):
                self._made = torch.empty(shape, dtype=torch.uint8)
            self._have = np.zeros(len(images), dtype=bool)

    def read(self, versions: NDArray[np.int64]) -> Tensor:
        """Return versions uint8 [n, channels, H, W]. Thread-safe; at worst, a version is made twice."""
        if self._made is None:
            return _in_channels(self._make(versions), self._channels)
        missing = np.unique(versions[~self._have[versions]])
        if len(missing):
            self._made[torch.from_numpy(missing)] = self._make(missing)
            self._have[missing] = True
        return _in_channels(self._made[torch.from_numpy(versions)], self._channels)

    def _make(self, versions: NDArray[np.int64]) -> Tensor:
        pristine = self._pristine[self._images.origins[versions]].numpy()
        return torch.from_numpy(self._images.distorted(versions, pristine, self._frame))


def _in_channels(images: Tensor, channels: int) -> Tensor:
    """Return images uint8 [n, C, H, W] with another number of channels: grey ones repeated, colours as luma."""
    have = images.shape[1]
    if have == channels:
        return images
    return grey(images) if channels == 1 else images.repeat(1, channels, 1, 1)

"""One split of a task: its labels, and its images at the size a backbone asks for."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import TaskError
from eenas.tasks.images.frame import Fit, Frame, Size, canonical_size
from eenas.tasks.images.pixels import KeptPixels, Pixels, check_channels
from eenas.tasks.spec import SourceName
from eenas.tasks.splitting import hold_out


@final
class ImageSource:
    """The images of a split at one size, in the order of its labels; safe to index from several threads."""

    def __init__(self, kept: KeptPixels, rows: NDArray[np.int64], channels: int) -> None:
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
class Split:
    """Samples of one source (`train`, `validation` or `test` data) under the name of a split.

    `labels` int64 [n] are class numbers; `rows` int64 [n] are the samples' positions in the source. Neither can be
    written to.
    """

    def __init__(
        self,
        name: str,
        source: SourceName,
        pixels: Pixels,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        balanced: bool = False,
    ) -> None:
        """`labels` [n] belong to the positions `rows` [n] of `pixels`; `balanced` makes accuracies on it balanced."""
        if len(labels) != len(rows):
            raise TaskError(
                f"a split needs one label for each sample, got {len(labels)} labels for {len(rows)} samples"
            )
        self.name = name
        self.source = source
        self.labels = _frozen(labels)
        self.rows = _frozen(rows)
        self._pixels = pixels
        self.balanced = balanced

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {len(self)} samples of the {self.source} source)"

    @property
    def pixels(self) -> Pixels:
        """All images of the source."""
        return self._pixels

    def images(self, size: Size | None, channels: int, fit: Fit | None = None) -> ImageSource:
        """The images as uint8 [n, channels, H, W]; `size` None takes the size the task prefers, `fit` None its fit.

        A size is one number or (height, width). The part that the fit shows (see `Frame`) is resized (bilinear). A grey
        image is repeated for several channels, a colour image reduced to its luma for one. Resized images are kept for
        the life of the task while those of a source take at most 2 GiB. Raises TaskError when the task prefers no size
        or has other channels.
        """
        size = size if size is not None else self._pixels.size
        if size is None:
            raise TaskError(
                "these images have no size of their own; give an input size, for example task.input_size=224"
            )
        try:
            size = canonical_size(size)
        except ValueError as error:
            raise TaskError(str(error)) from None
        if channels < 1:
            raise TaskError(f"images need a positive number of channels, got {channels}")
        check_channels(self._pixels.channels, channels)
        stored = 1 if self._pixels.channels == 1 else channels
        frame = Frame.of(size, fit or self._pixels.fit)
        return ImageSource(self._pixels.kept(frame, stored), self.rows, channels)

    def shown_by(self, pixels: Pixels) -> "Split":
        """The same samples with the images of `pixels`."""
        return Split(self.name, self.source, pixels, self.labels, self.rows, self.balanced)

    def counted(self, *, balanced: bool) -> "Split":
        """The same split, on which accuracies are balanced or not."""
        return Split(self.name, self.source, self._pixels, self.labels, self.rows, balanced)

    def subset(self, positions: NDArray[np.int64], name: str | None = None) -> "Split":
        """The samples at `positions` of this split, sharing the images."""
        labels, rows = self.labels[positions], self.rows[positions]
        return Split(name or self.name, self.source, self._pixels, labels, rows, self.balanced)

    def joined(self, others: Sequence["Split"]) -> "Split":
        """The samples of this split and `others` of the same source, in the source's order, under this name."""
        parts = [self, *(other for other in others if other is not self)]
        if any(part._pixels is not self._pixels for part in parts):
            raise TaskError(f"splits of one source can be joined, got {', '.join(map(repr, parts))}")
        rows, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "labels"))
        order = np.argsort(rows, kind="stable")
        return Split(self.name, self.source, self._pixels, labels[order], rows[order], self.balanced)

    def held_out(self, share: float = 0.1, seed: int = 0) -> tuple["Split", "Split"]:
        """This split without a stratified share of it, and that share, named `tune`.

        The same seed gives the same parts. Every class stays in the first part.
        Raises TaskError for a share outside (0, 1) or too few samples.
        """
        kept, held = hold_out(self.labels, share, seed)
        return self.subset(kept), self.subset(held, "tune")


def _frozen(values: NDArray[np.int64]) -> NDArray[np.int64]:
    copy = np.array(values, dtype=np.int64)
    copy.setflags(write=False)
    return copy

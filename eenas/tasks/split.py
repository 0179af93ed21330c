"""One split of a task: its labels, and its samples in the form that a backbone requires."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, plural
from eenas.tasks.images.frame import Fit, Size
from eenas.tasks.images.image_input import fit_of, image_input, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import SampleReader, Samples
from eenas.tasks.spec import SourceName
from eenas.tasks.splitting import hold_out


@final
class Split:
    """Samples of one source (`train`, `validation` or `test` data) under the name of a split.

    `labels` int64 [n] are class numbers. `rows` int64 [n] are the positions of the samples in the source. Both are
    read-only. `contexts` [n] names the circumstances of each sample, or is None if nothing is known of them.
    """

    def __init__(
        self,
        name: str,
        source: SourceName,
        samples: Samples,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        balanced: bool = False,
    ) -> None:
        """`labels` [n] belong to the positions `rows` [n] of `samples`; `balanced` balances accuracy over classes."""
        if len(labels) != len(rows):
            raise TaskError(
                f"a split needs one label for each sample, got {plural(len(labels), 'label')} for "
                f"{plural(len(rows), 'sample')}"
            )
        self.name = name
        self.source = source
        self.labels = _frozen(labels)
        self.rows = _frozen(rows)
        self._samples = samples
        self.balanced = balanced

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {plural(len(self), 'sample')} of the {self.source} source)"

    @property
    def samples(self) -> Samples:
        """All samples of the source."""
        return self._samples

    def reader(self, inputs: InputSpec) -> SampleReader:
        """Return the samples in the form `inputs`, which the transform of a backbone states.

        Raises TaskError if the samples do not have that form.
        """
        return self._samples.reader(self.rows, inputs)

    @property
    def contexts(self) -> NDArray[np.str_] | None:
        """The context of each sample, such as "clean" or "gaussian_blur:3", [n], or None if nothing is known of it."""
        found = self._samples.contexts
        return None if found is None else found[self.rows]

    def images(self, size: Size | None, channels: int, fit: Fit | None = None) -> SampleReader:
        """Return the samples of a task of images as uint8 [n, channels, H, W].

        `size` is one number or (height, width); None for `size` or `fit` takes that of the task. See `Pixels.reader`.
        """
        own = self._samples.inputs
        return self.reader(image_input(size_of(own) if size is None else size, channels, fit or fit_of(own)))

    def with_samples(self, samples: Samples) -> "Split":
        """Return the same rows and labels with other samples of the source."""
        return Split(self.name, self.source, samples, self.labels, self.rows, self.balanced)

    def counted(self, *, balanced: bool) -> "Split":
        """Return the same split with accuracy balanced over the classes, or not."""
        return Split(self.name, self.source, self._samples, self.labels, self.rows, balanced)

    def subset(self, positions: NDArray[np.int64], name: str | None = None) -> "Split":
        """Return the samples at `positions` of this split. The data of the source are shared."""
        labels, rows = self.labels[positions], self.rows[positions]
        return Split(name or self.name, self.source, self._samples, labels, rows, self.balanced)

    def joined(self, others: Sequence["Split"]) -> "Split":
        """Return the samples of this split and of `others` from the same source, in the order of the source.

        Raises TaskError for splits of different sources.
        """
        parts = [self, *(other for other in others if other is not self)]
        if any(part._samples is not self._samples for part in parts):
            raise TaskError(f"only splits of the same source can be joined, got {', '.join(map(repr, parts))}")
        rows, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "labels"))
        order = np.argsort(rows, kind="stable")
        return Split(self.name, self.source, self._samples, labels[order], rows[order], self.balanced)

    def held_out(self, share: float = 0.1, seed: int = 0) -> tuple["Split", "Split"]:
        """Return this split without a stratified share of it, and that share as the split `tune`.

        The same seed gives the same parts. Every class stays in the first part.

        Raises TaskError for a share outside (0, 1) or too few samples.
        """
        kept, held = hold_out(self.labels, share, seed)
        return self.subset(kept), self.subset(held, "tune")


def _frozen(values: NDArray[np.int64]) -> NDArray[np.int64]:
    copy = np.array(values, dtype=np.int64)
    copy.setflags(write=False)
    return copy

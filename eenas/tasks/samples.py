"""All samples of one source of a task, independent of their kind, and their readers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.tasks.inputs import InputSpec


class SampleReader(Protocol):
    """The samples of a split in one form, in the order of its labels. Indexing is thread-safe."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> Tensor:
        """Return the samples [n, ...] at positions `indices` [n] of the split. The caller may change the tensor."""


class Samples(ABC):
    """The samples of one source, in the order of its labels. Each folder of `tasks/` holds a subclass for its kind.

    `digest` is 16 hexadecimal digits of the content. Order of calls: `inputs` describes the samples, `reader` returns
    samples in the form that a transform takes, and `augmented` changes a batch of them during training.
    """

    digest: str

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def inputs(self) -> InputSpec:
        """The form of the samples that the task prefers."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The printable name of each sample, [n]."""

    @property
    def contexts(self) -> NDArray[np.str_] | None:
        """The name of each sample's context, [n], or None if nothing is known of the circumstances."""
        return None

    @abstractmethod
    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of the content of each sample, [n]."""

    @abstractmethod
    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> SampleReader:
        """Return a reader of the samples at `rows` in the form `inputs`.

        Raises TaskError if the samples do not have that form.
        """

    def augmented(self, batch: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
        """Return a batch augmented for training. By default it is unchanged."""
        return batch

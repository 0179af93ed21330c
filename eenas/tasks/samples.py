"""All samples of one source of a task, whatever they are made of, and how they are read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.tasks.inputs import InputSpec


class SampleReader(Protocol):
    """The samples of a split in one form, in the order of its labels; safe to index from several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> Tensor:
        """The samples [n, ...] at positions `indices` [n] of the split; the tensor is the caller's."""


class Samples(ABC):
    """The samples of one source, in the order of its labels; a folder of `tasks/` for each kind derives from it.

    `digest` is 16 hexadecimal digits of the content. Order of calls: `inputs` says what the samples are; `reader` gives
    those of some rows in the form that a transform takes; `augmented` changes a batch of them in training.
    """

    digest: str

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def inputs(self) -> InputSpec:
        """What the samples are, in the form that the task prefers."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The name of each sample [n], as it can be printed."""

    @abstractmethod
    def digests(self) -> NDArray[np.uint64]:
        """A number of 64 bits for the content of each sample, [n]."""

    @abstractmethod
    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> SampleReader:
        """The samples at `rows`, as `inputs` says. Raises TaskError where they cannot be had so."""

    def augmented(self, batch: Tensor, *, flip: bool, generator: torch.Generator) -> Tensor:
        """A batch as training sees it; as it is, for kinds of samples that nothing is known of that keeps a class."""
        return batch

"""The contract of a transform: from a task's samples to what a backbone takes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from eenas.errors import BackboneError
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task


class Transform(ABC):
    """Samples as `inputs` says turned into one tensor [N, *shape]; a frozen value that belongs to a backbone.

    The tensor is float32, or int64 for ids of tokens. If lengths vary, `shape` is that of a reference sample, at which
    MACs and latency are stated, and `varying` lists the axes of the tensor (0 is the batch) with other lengths.

    Order of calls: a backbone is loaded with the transform for a task's inputs; `fitted(task)` takes over what the task
    knows, such as statistics; then batches pass through it, in training and ever after. `to_table` goes into runs and
    manifests, where `transform_from_table` and the runtime's own preprocessing read it.
    """

    @property
    @abstractmethod
    def inputs(self) -> InputSpec:
        """What it takes, which a task's split gives (`Split.reader`)."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample that it gives."""

    @property
    def varying(self) -> tuple[int, ...]:
        """The axes of the tensor (0 is the batch) whose length differs between batches; none by default."""
        return ()

    def example(self, batch: int = 2) -> Tensor:
        """Return a fixed valid batch [batch, *shape], by default float32 of standard normal values.

        It draws from a generator of its own: the global random state does not change.
        """
        return torch.randn(batch, *self.shape, generator=torch.Generator().manual_seed(0))

    def joined(self, batches: Sequence[Tensor]) -> Tensor:
        """Return several batches as one. Shorter ones are padded at the end of varying axes, by default with zeros."""
        if not self.varying:
            return torch.cat(list(batches))
        longest = [max(each.shape[axis] for each in batches) for axis in range(batches[0].ndim)]
        made = batches[0].new_full((sum(map(len, batches)), *longest[1:]), self.padding)
        at = 0
        for each in batches:
            made[(slice(at, at + len(each)), *(slice(size) for size in each.shape[1:]))] = each
            at += len(each)
        return made

    @property
    def padding(self) -> int:
        """The number in the padding: an id of tokens, else 0."""
        return 0

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Transform a batch, on its device. Raises BackboneError for other shapes or another type."""

    @abstractmethod
    def is_raw(self, batch: Tensor) -> bool:
        """Whether a batch is visibly of samples as they are, which nobody may take for transformed ones."""

    def sized(self, inputs: InputSpec) -> Self:
        """The same at the sizes of a task's inputs. By default there is one size; BackboneError for others."""
        if not self.inputs.agrees(inputs):
            raise BackboneError(f"takes {self.inputs}, and the task has {inputs}; give a network for these samples")
        return self

    def stated(self, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Self:
        """The same with `backbone.mean` and `backbone.std`. By default there are none, and BackboneError is raised."""
        if mean is None and std is None:
            return self
        raise BackboneError(f"backbone.mean and backbone.std are not for {self.inputs.kind}; leave them out")

    @abstractmethod
    def fitted(self, task: Task) -> Self:
        """The same with what is measured or settled by the task. Raises TaskError for samples of another kind."""

    @abstractmethod
    def to_table(self) -> dict[str, Any]:
        """Plain data."""

    @property
    def files(self) -> Mapping[str, str]:
        """Texts of files that belong to it in a folder of a network, by name, such as a tokenizer; none by default."""
        return {}

    def with_files(self, folder: Path) -> Self:
        """The same with its files in a folder, after it was read from a table. Raises BackboneError for others."""
        return self

    def notices(self, task: Task) -> tuple[str, ...]:
        """Return remarks for the user on the samples of a task, once it is fitted; none by default."""
        return ()

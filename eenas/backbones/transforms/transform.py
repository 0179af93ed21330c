"""The contract of a transform: from a task's samples to what a backbone takes."""

from abc import ABC, abstractmethod
from typing import Any, Self

from torch import Tensor

from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task


class Transform(ABC):
    """Samples as `inputs` says turned into float32 [N, *shape]; a frozen value that belongs to a backbone.

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

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Transform a batch, on its device. Raises BackboneError for other shapes or another type."""

    @abstractmethod
    def is_raw(self, batch: Tensor) -> bool:
        """Whether a batch is visibly of samples as they are, which nobody may take for transformed ones."""

    @abstractmethod
    def fitted(self, task: Task) -> Self:
        """The same with what is measured or settled by the task. Raises TaskError for samples of another kind."""

    @abstractmethod
    def to_table(self) -> dict[str, Any]:
        """Plain data."""

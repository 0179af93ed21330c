"""The transform of time series: each channel brought to mean 0 and standard deviation 1."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.errors import BackboneError, TaskError
from eenas.tasks.inputs import InputSpec
from eenas.tasks.series.series_input import is_masked, series_input
from eenas.tasks.series.series_values import SeriesValues
from eenas.tasks.task import Task

KIND = "series"


@dataclass(frozen=True)
class SeriesTransform(Transform):
    """Series float32 [N, channels, length] to the same shape: `(x - mean) / std`, channel by channel.

    Without `mean` and `std` values pass as they are, until `fitted` measures both on a task's train split. If `masked`,
    the last channel is the mask of series of different length, 1 where a point is and 0 in the padding: it passes as it
    is, and the padding is 0 in all channels.
    """

    channels: int
    length: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    masked: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes and statistics that no series has."""
        if min(self.channels, self.length) < 1:
            raise BackboneError(f"series have at least one channel and one point, got {[self.channels, self.length]}")
        if self.masked and self.channels < 2:
            raise BackboneError("series with a mask have a channel beside it, got one channel in all")
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.real):
            raise BackboneError(
                f"mean and std must hold one number for each of {self.real} channels, or none, got "
                f"{list(self.mean)} and {list(self.std)}"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std, default=1) <= 0:
            raise BackboneError(f"mean and std must be finite, and std positive, got {self.mean} and {self.std}")

    @property
    def inputs(self) -> InputSpec:
        """Series of these channels and this length."""
        return series_input(self.channels, self.length, masked=self.masked)

    @property
    def real(self) -> int:
        """The channels of a series, without the mask."""
        return self.channels - self.masked

    @property
    def shape(self) -> tuple[int, int]:
        """(channels, length) of what it gives."""
        return (self.channels, self.length)

    def to_table(self) -> dict[str, Any]:
        """Plain data, which its kind marks."""
        table: dict[str, Any] = {"kind": KIND, "channels": self.channels, "length": self.length}
        table |= {"mean": list(self.mean), "std": list(self.std)}
        return {**table, "masked": True} if self.masked else table

    def example(self, batch: int = 2) -> Tensor:
        """See `Transform.example`. Every second series of a masked batch is shorter than the others."""
        found = super().example(batch)
        if self.masked:
            found[:, -1] = 1.0
            found[1::2, :, (self.length + 1) // 2 :] = 0.0
        return found

    def is_raw(self, batch: Tensor) -> bool:
        """Whether it is no float32: of floats nobody can tell whether they were transformed."""
        return batch.dtype != torch.float32 and not batch.is_floating_point()

    def sized(self, inputs: InputSpec) -> "SeriesTransform":
        """At the length of the task's series."""
        if inputs.size("channel") not in (None, self.channels):
            raise BackboneError(f"takes {self.inputs}, and the task has {inputs}; give as many channels")
        masked = is_masked(inputs)
        return replace(self, length=inputs.size("time") or self.length, masked=masked)

    def stated(self, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> "SeriesTransform":
        """With these statistics; one number stands for all channels. Both or neither are given."""
        return with_series_statistics(self, mean, std)

    def fitted(self, task: Task) -> "SeriesTransform":
        """With the statistics of the task's train split, where none are stated."""
        samples = task.train.samples
        if not isinstance(samples, SeriesValues):
            raise TaskError(f"{task.name}: the backbone takes {self.inputs}, and the samples are {task.inputs}")
        if self.mean:
            return self
        mean, std = samples.statistics(task.train.rows)
        return replace(self, mean=mean, std=std)

    def __call__(self, samples: Tensor) -> Tensor:
        """Transform a batch. Raises BackboneError for other shapes or a type that is no float."""
        expected = f"floats [N, {self.channels}, {self.length}]"
        if not samples.is_floating_point() or samples.ndim != 3 or tuple(samples.shape[1:]) != self.shape:
            raise BackboneError(f"the transform takes {expected}, got {samples.dtype} {list(samples.shape)}")
        values = samples.to(torch.float32)
        if not self.masked:
            return self._standardised(values)
        mask = values[:, -1:]
        return torch.cat([self._standardised(values[:, :-1]) * mask, mask], dim=1)

    def _standardised(self, values: Tensor) -> Tensor:
        if not self.mean:
            return values
        mean, std = (
            torch.tensor(each, dtype=torch.float32, device=values.device).view(1, -1, 1)
            for each in (self.mean, self.std)
        )
        return (values - mean) / std


def with_series_statistics(
    transform: SeriesTransform, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> SeriesTransform:
    """The same with these statistics, where both are given; one number stands for all channels.

    Raises BackboneError where only one of them is.
    """
    if mean is None and std is None:
        return transform
    if mean is None or std is None:
        raise BackboneError("backbone.mean and backbone.std of series belong together; give both or neither")
    mean, std = (each * transform.real if len(each) == 1 else each for each in (mean, std))
    return replace(transform, mean=mean, std=std)

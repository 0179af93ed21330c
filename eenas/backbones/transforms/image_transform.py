"""The transform of images: as a task keeps them turned into what a backbone takes."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.errors import BackboneError, InputError, TaskError
from eenas.tasks.images.frame import FITS, Fit, Size, canonical_size, sides_of
from eenas.tasks.images.image_input import fit_of, image_input, size_of, white_of
from eenas.tasks.images.statistics import check_statistics
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights that Pillow's conversion to grey uses


@dataclass(frozen=True)
class InputTransform(Transform):
    """Images uint8 [N, 1 or C, H, W] to float32 [N, channels, H, W]: scaled to [0, 1], then `(x - mean) / std`.

    `size` in pixels is H and W in one number, or (H, W). A grey image is repeated for a backbone of several channels; a
    colour image is reduced to its luma for a backbone of one. Works on the device that the images are on. `fit` and
    `white` say how the task made its images of pictures (`prepare_picture`), which a device has to do alike.
    """

    size: int | tuple[int, ...]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Fit = "crop"
    white: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes and statistics that no image can have."""
        try:
            object.__setattr__(self, "size", canonical_size(self.size))
        except ValueError:
            raise BackboneError(f"a transform needs a positive size, a number or [H, W], got {self.size}") from None
        if self.channels < 1:
            raise BackboneError(f"a transform needs a positive number of channels, got {self.channels}")
        if self.fit not in FITS:
            raise BackboneError(f"fit is one of {', '.join(FITS)}, got {self.fit!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels or not all(math.isfinite(value) for value in values):
                raise BackboneError(f"{name} must hold one number for each of {self.channels} channels, got {values}")
        try:
            check_statistics(self.mean, self.std)
        except InputError as error:
            raise BackboneError(str(error)) from None

    @property
    def inputs(self) -> InputSpec:
        """Images of this size, of as many channels."""
        return image_input(self.size, self.channels, self.fit, self.white)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, H, W) of what it gives."""
        return (self.channels, *sides_of(self.size))

    def to_table(self) -> dict[str, Any]:
        """Plain data; `fit` and `white` stand in it only where they are not the default, as in older files."""
        size = self.size if isinstance(self.size, int) else list(self.size)
        table: dict[str, Any] = {"size": size, "channels": self.channels}
        table |= {"mean": list(self.mean), "std": list(self.std)}
        more = {"fit": self.fit if self.fit != "crop" else None, "white": self.white}
        return table | {name: value for name, value in more.items() if value is not None}

    def is_raw(self, batch: Tensor) -> bool:
        """Whether it is uint8."""
        return batch.dtype == torch.uint8

    def sized(self, inputs: InputSpec) -> "InputTransform":
        """At the size of the task's images, if they have one, with their fit and white."""
        size = size_of(inputs)
        return replace(self, size=self.size if size is None else size, fit=fit_of(inputs), white=white_of(inputs))

    def stated(self, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> "InputTransform":
        """With these statistics; one number stands for all channels."""
        return with_statistics(self, self.channels, mean, std)

    def fitted(self, task: Task) -> "InputTransform":
        """With the task's fit and white."""
        if task.inputs.kind != "images":
            raise TaskError(f"{task.name}: the backbone takes {self.inputs}, and the samples are {task.inputs}")
        return replace(self, fit=task.fit, white=task.white)

    def __call__(self, images: Tensor) -> Tensor:
        """Transform a batch. Raises BackboneError for other shapes or a type that is not uint8."""
        _, height, width = self.shape
        expected = f"uint8 [N, {self.channels} or 1, {height}, {width}]"
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[2:]) != (height, width):
            raise BackboneError(f"the transform takes {expected}, got {images.dtype} {list(images.shape)}")
        scaled = images.to(torch.float32) / 255
        if images.shape[1] != self.channels:
            if self.channels == 1 and images.shape[1] == 3:
                scaled = (scaled * _column(LUMA, scaled)).sum(dim=1, keepdim=True)
            elif images.shape[1] != 1:
                raise BackboneError(f"the transform takes {expected}, got {list(images.shape)}")
        return (scaled - _column(self.mean, scaled)) / _column(self.std, scaled)


def with_statistics(
    transform: InputTransform,
    channels: int,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> InputTransform:
    """The same for `channels`, with these statistics; one number stands for all channels.

    Without them those of the transform, or their averages where the number of channels is another. Raises
    BackboneError.
    """
    found = []
    for given, own in ((mean, transform.mean), (std, transform.std)):
        values = own if given is None else given
        if given is None and len(own) != channels:
            values = (sum(own) / len(own),)
        found.append(values * channels if len(values) == 1 else values)
    return replace(transform, channels=channels, mean=found[0], std=found[1])


def default_transform(size: Size, channels: int) -> InputTransform:
    """ImageNet's mean and standard deviation for colour images; 0.5 and 0.5 for any other number of channels."""
    if channels == 3:
        return InputTransform(size, channels, IMAGENET_MEAN, IMAGENET_STD)
    return InputTransform(size, channels, (0.5,) * channels, (0.5,) * channels)


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

"""The input transform: images as a task keeps them turned into what a backbone takes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eenas.errors import BackboneError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights that Pillow's conversion to grey uses


@dataclass(frozen=True)
class InputTransform:
    """Images uint8 [N, 1 or C, S, S] to float32 [N, channels, S, S]: scaled to [0, 1], then `(x - mean) / std`.

    `size` is S in pixels. A grey image is repeated for a backbone of several channels; a colour image is reduced to
    its luma for a backbone of one. Works on the device that the images are on.
    """

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse sizes and statistics that no image can have."""
        if self.size < 1 or self.channels < 1:
            raise BackboneError(f"a transform needs a positive size and channels, got {self.size} and {self.channels}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels or not all(math.isfinite(value) for value in values):
                raise BackboneError(f"{name} must hold one number for each of {self.channels} channels, got {values}")
        if min(self.std) <= 0:
            raise BackboneError(f"std must be positive, got {self.std}")

    def __call__(self, images: Tensor) -> Tensor:
        """Transform a batch. Raises BackboneError for other shapes or a type that is not uint8."""
        expected = f"uint8 [N, {self.channels} or 1, {self.size}, {self.size}]"
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[2:]) != (self.size, self.size):
            raise BackboneError(f"the transform takes {expected}, got {images.dtype} {list(images.shape)}")
        scaled = images.to(torch.float32) / 255
        if images.shape[1] != self.channels:
            if self.channels == 1 and images.shape[1] == 3:
                scaled = (scaled * _column(LUMA, scaled)).sum(dim=1, keepdim=True)
            elif images.shape[1] != 1:
                raise BackboneError(f"the transform takes {expected}, got {list(images.shape)}")
        return (scaled - _column(self.mean, scaled)) / _column(self.std, scaled)


def default_transform(size: int, channels: int) -> InputTransform:
    """ImageNet's mean and standard deviation for colour images; 0.5 and 0.5 for any other number of channels."""
    if channels == 3:
        return InputTransform(size, channels, IMAGENET_MEAN, IMAGENET_STD)
    return InputTransform(size, channels, (0.5,) * channels, (0.5,) * channels)


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

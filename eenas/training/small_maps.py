"""Convolutions on small maps as matrix products, for CPUs whose convolution is much slower."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from eenas.backbones.copies import evaluated

POSITIONS = 4
"""The largest number of output positions (height times width) of a small map."""


class SmallMaps(TorchFunctionMode):
    """A context in which convolutions with at most POSITIONS output positions are computed as one matrix product.

    The result is equal up to rounding, gradients included: the patches under the kernel as rows, times the kernel.
    Grouped convolutions and those with named padding are left unchanged. `count` is the number of replaced calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace `torch.conv2d`, which all two-dimensional convolutions of torch call."""
        if func is torch.conv2d:
            found = _as_product(*args, **(kwargs or {}))
            if found is not None:
                self.count += 1
                return found
        return func(*args, **(kwargs or {}))


def _as_product(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | str | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor | None:
    """Return the convolution as a matrix product, or None if its output is not small or its kind is not supported."""
    if groups != 1 or isinstance(padding, str) or input.dim() != 4:
        return None
    steps, margins, gaps = _pair(stride), _pair(padding), _pair(dilation)
    kernel = (weight.shape[2], weight.shape[3])
    samples, size = len(input), input.shape[2:]
    high, wide = (
        (side + 2 * margin - gap * (length - 1) - 1) // step + 1
        for side, margin, gap, length, step in zip(size, margins, gaps, kernel, steps, strict=True)
    )
    if not (samples and 0 < high * wide <= POSITIONS):
        return None
    if kernel == (1, 1) and margins == (0, 0):
        patches = input[:, :, :: steps[0], :: steps[1]].flatten(2)
    else:
        patches = functional.unfold(input, kernel, dilation=gaps, padding=margins, stride=steps)
    rows = patches.transpose(1, 2).reshape(samples * high * wide, -1)
    product = functional.linear(rows, weight.flatten(1), bias)
    return product.view(samples, high * wide, -1).transpose(1, 2).reshape(samples, -1, high, wide)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def has_small_maps(module: nn.Module, example: Tensor) -> bool:
    """Whether a pass of `example` through `module` on a CPU has a convolution that `SmallMaps` replaces.

    The module is not changed. False on other devices, whose libraries are fast on small maps.
    """
    if example.device.type != "cpu":
        return False
    mode = SmallMaps()
    with torch.no_grad(), mode:
        evaluated(module)(example[:2])
    return mode.count > 0

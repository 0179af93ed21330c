"""Gradient equilibrium: an identity that scales the gradient."""

from typing import Any

import torch
from torch import Tensor


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Return `x` (any shape) unchanged, and multiply the gradient that flows back through it by `factor`.

    The operation of gradient equilibrium (Li, Zhang et al. 2019, "Improved Techniques for Training Adaptive Deep
    Networks", section 3.1).
    """
    scaled: Tensor = _Scale.apply(x, factor)
    return scaled

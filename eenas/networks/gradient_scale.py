"""Gradient equilibrium: an identity whose gradient is scaled."""

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
    """`x` itself, of any shape; the gradient that flows back through it is multiplied by `factor`.

    The step of gradient equilibrium (Li, Zhang et al. 2019, "Improved Techniques for Training Adaptive Deep
    Networks", section 3.1).
    """
    scaled: Tensor = _Scale.apply(x, factor)
    return scaled

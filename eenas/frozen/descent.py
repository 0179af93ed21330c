"""One step of an optimiser down a loss."""

from collections.abc import Iterable

import torch
from torch import Tensor


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, *, clip: float = 0.0) -> bool:
    """Take one step and return True; return False and take none for a loss (a scalar) that is not finite.

    `clip` is the largest norm of the gradient of all that `optimizer` trains, 0 for any.
    """
    if not bool(torch.isfinite(loss)):
        return False
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip:
        torch.nn.utils.clip_grad_norm_(_trained(optimizer), clip)
    optimizer.step()
    return True


def _trained(optimizer: torch.optim.Optimizer) -> Iterable[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

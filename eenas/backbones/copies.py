"""A copy of a module, whatever the module's own `train`, `eval` and `to` return and whatever it keeps of a pass."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copy_of(
    module: Module, *, device: torch.device | str | None = None, sharing: Mapping[int, Any] | None = None
) -> Module:
    """A deep copy of `module` on `device` (default: where it is), in its mode.

    Tensors that a module keeps of a forward pass (a feature that a hook stores, the weight that an older weight norm
    computes) are copied without their graph, which torch refuses to copy. `sharing` holds what is not copied, by `id`.
    """
    memo: dict[int, Any] = dict(sharing or {})
    for tensor in _kept(module):
        if not tensor.is_leaf and id(tensor) not in memo:
            memo[id(tensor)] = tensor.detach().clone()
    copied = copy.deepcopy(module, memo)
    if device is not None:
        copied.to(device)
    return copied


def evaluated(module: Module, *, device: torch.device | str | None = None) -> Module:
    """The same in eval mode."""
    copied = copy_of(module, device=device)
    copied.eval()
    return copied


def _kept(module: nn.Module) -> Iterator[Tensor]:
    """The tensors that modules hold as plain attributes, or in lists and dicts of them."""
    for part in module.modules():
        for name, value in vars(part).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                yield from _tensors(value)


def _tensors(value: Any, depth: int = 3) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each, depth - 1)

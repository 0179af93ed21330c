"""Deep copies of modules, also of those that store non-leaf tensors or whose `eval` and `to` return something else."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copy_of(
    module: Module, *, device: torch.device | str | None = None, sharing: Mapping[int, Any] | None = None
) -> Module:
    """Return a deep copy of `module` on `device` (default: the module's own), in the same mode.

    Non-leaf tensors that a module stores (a feature kept by a hook, the weight of an older weight norm) are copied
    without their graph, which torch refuses to copy. `sharing` maps `id`s to objects that the copy shares.
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
    """Return `copy_of(module)` in eval mode."""
    copied = copy_of(module, device=device)
    copied.eval()
    return copied


def _kept(module: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that modules store as plain attributes, alone or in lists, tuples and dicts."""
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

"""A forward pass that tracks gradients from the input on, also through `no_grad` and `detach`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class TrackGradients(TorchFunctionMode):
    """Context manager that records the autograd graph through `torch.no_grad`, inference mode and `detach`.

    Cut points do not depend on which parts train: a stem under `torch.no_grad` can be cut, too. Values without any
    gradient (a mask, an index) are not tracked. `has_detours` is True if such a value was computed from the input and
    used, or if a part ran under autocast or in another gradient mode, which the exporter wraps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_detours = False
        self._stops = False
        self._nesting = _autocast_nesting()
        self._untracked: dict[int, Tensor] = {}  # kept alive, or another tensor could get the same id

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` with gradients; a detach becomes a view."""
        if func in _DETACH and not self._stops:
            return args[0].view_as(args[0])
        with torch.inference_mode(False), torch.enable_grad():
            found = func(*args, **(kwargs or {}))
        if not self.has_detours:
            self._note(func, [*args, *(kwargs or {}).values()], found)
        return found

    def stopped(self, tensor: Tensor) -> Tensor:
        """Return a tensor without its graph."""
        self._stops = True
        try:
            return tensor.detach()
        finally:
            self._stops = False

    def _note(self, func: Callable[..., Any], given: list[Any], found: Any) -> None:
        self.has_detours |= getattr(func, "__name__", "") == "_set_grad_enabled" or _autocast_nesting() != self._nesting
        tensors = list(_tensors(given))
        self.has_detours |= any(id(each) in self._untracked for each in tensors)
        if any(each.requires_grad for each in tensors):
            self._untracked |= {id(each): each for each in _tensors([found]) if not each.requires_grad}


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among values and in their lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, Tensor))


def _autocast_nesting() -> int:
    """Return the nesting depth of autocast blocks, enabled or not. torch tells it only on entering or leaving one."""
    nesting: int = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return nesting


_DETACH = (torch.detach, Tensor.detach, Tensor.data.__get__)  # type: ignore[attr-defined]

"""A forward pass in which every value that has a gradient, or could have, is followed from the input on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Followed(TorchFunctionMode):
    """Inside this context what is computed without a gradient, or detached, is followed as everything else is.

    What the rest of a network needs has nothing to do with what is trained: a stem under `torch.no_grad` is cut too.
    What has no gradient at all (a mask, an index) is not followed: `has_detours` says that some was computed of the
    input and used, or that a part runs under autocast or in another mode of gradients, which the exporter wraps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_detours = False
        self._nesting = _autocast_nesting()
        self._unfollowed: dict[int, Tensor] = {}  # kept, so that no other tensor gets the same id

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` with gradients; take detached tensors as they are."""
        if func in _DETACH:
            return args[0].view_as(args[0])
        with torch.inference_mode(False), torch.enable_grad():
            found = func(*args, **(kwargs or {}))
        if not self.has_detours:
            self._note(func, [*args, *(kwargs or {}).values()], found)
        return found

    def _note(self, func: Callable[..., Any], given: list[Any], found: Any) -> None:
        self.has_detours |= getattr(func, "__name__", "") == "_set_grad_enabled" or _autocast_nesting() != self._nesting
        tensors = list(_tensors(given))
        self.has_detours |= any(id(each) in self._unfollowed for each in tensors)
        if any(each.requires_grad for each in tensors):
            self._unfollowed |= {id(each): each for each in _tensors([found]) if not each.requires_grad}


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values, and in tuples and lists among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, Tensor))


def _autocast_nesting() -> int:
    """In how many blocks of autocast this is, enabled or not: torch tells only those who enter or leave one."""
    nesting: int = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return nesting


_DETACH = (torch.detach, Tensor.detach, Tensor.data.__get__)  # type: ignore[attr-defined]

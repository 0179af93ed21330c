"""Optional abilities of a branch's module: previous logits, an auxiliary loss, and a part that branches share."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from eenas.errors import BranchError


@runtime_checkable
class WithAuxiliaryLoss(Protocol):
    """A branch's module with a training loss beside the one on its logits."""

    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """Return the scalar loss of the last forward pass in training mode, for its labels int64 [N]."""


@runtime_checkable
class WithSharedPart(Protocol):
    """A branch's module with a part that all such branches of a network have in common while they are trained.

    `shared_part` is the name of that submodule.
    """

    shared_part: str


@contextmanager
def shared_parts(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside the block, each module `WithSharedPart` uses the part of the first one with parameters of these shapes.

    Afterwards each has a part of its own again, with equal weights: a trained branch depends on no other one.
    """
    first: dict[tuple[torch.Size, ...], nn.Module] = {}
    tied: list[tuple[nn.Module, str]] = []
    for module in modules:
        if isinstance(module, WithSharedPart):
            part = module.get_submodule(module.shared_part)
            common = first.setdefault(tuple(each.shape for each in part.parameters()), part)
            if common is not part:
                setattr(module, module.shared_part, common)
                tied.append((module, module.shared_part))
    try:
        yield
    finally:
        for module, name in tied:
            setattr(module, name, copy.deepcopy(module.get_submodule(name)))


def takes_previous(module: nn.Module) -> bool:
    """Whether the module is called as `module(features, previous)`: its attribute `takes_previous` is True.

    `previous` [N, num_classes] holds the detached logits of the previous exit.
    """
    return getattr(module, "takes_previous", False) is True


def logits_of(module: nn.Module, features: Tensor, previous: Tensor | None) -> Tensor:
    """Return a branch's logits [N, num_classes]; pass `previous` to modules that take it (`takes_previous`).

    Raises BranchError unless the module returns one tensor.
    """
    logits: object = module(features, previous) if takes_previous(module) else module(features)
    if not isinstance(logits, Tensor):
        raise BranchError(
            f"{type(module).__name__}: forward of a branch must return one tensor, the logits [N, num_classes], got "
            f"{type(logits).__name__}; return the logits alone"
        )
    return logits


def auxiliary_loss_of(module: nn.Module, labels: Tensor) -> Tensor | None:
    """Return the auxiliary loss of the last forward pass in training mode for labels [N]; None if there is none."""
    return module.auxiliary_loss(labels) if isinstance(module, WithAuxiliaryLoss) else None


class FeaturesOnly(nn.Module):
    """A wrapper for a module that takes the previous logits: runs it on features, with zeros as those logits."""

    def __init__(self, module: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.module = module
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, ...] to logits [N, num_classes]."""
        logits: Tensor = self.module(features, features.new_zeros(features.shape[0], self.num_classes))
        return logits


def features_only(module: nn.Module, num_classes: int) -> nn.Module:
    """Return a branch's module as one that takes features only, to count its MACs and measure its latency alone."""
    return FeaturesOnly(module, num_classes) if takes_previous(module) else module

"""What a branch's module may do beside giving logits: ask for those of the exit before, and have a loss of its own."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class WithAuxiliaryLoss(Protocol):
    """A module of a branch that is trained by more than the loss on its logits."""

    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """A scalar for the last forward pass in training mode, given its labels int64 `[N]`."""


def takes_previous(module: nn.Module) -> bool:
    """Whether the module is called as `module(features, previous)`, which its attribute `takes_previous = True` says.

    `previous` `[N, num_classes]` are the logits of the exit before, detached.
    """
    return getattr(module, "takes_previous", False) is True


def logits_of(module: nn.Module, features: Tensor, previous: Tensor | None) -> Tensor:
    """A branch's own logits `[N, num_classes]`; `previous` (see `takes_previous`) goes to whoever asks for it."""
    logits: Tensor = module(features, previous) if takes_previous(module) else module(features)
    return logits


def auxiliary_loss_of(module: nn.Module, labels: Tensor) -> Tensor | None:
    """The module's own loss for its last forward pass in training mode, None where it has none; labels `[N]`."""
    return module.auxiliary_loss(labels) if isinstance(module, WithAuxiliaryLoss) else None


class Alone(nn.Module):
    """A module that takes the previous logits, run without an exit before: on zeros in their place."""

    def __init__(self, module: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.module = module
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, ...]` to logits `[N, num_classes]`."""
        logits: Tensor = self.module(features, features.new_zeros(features.shape[0], self.num_classes))
        return logits


def alone(module: nn.Module, num_classes: int) -> nn.Module:
    """The module of any branch as one that takes features only, for counting and timing it by itself."""
    return Alone(module, num_classes) if takes_previous(module) else module

"""A module with parts that stay in eval mode after `train()`."""

from collections.abc import Iterable
from typing import Self

from torch import nn


class PartlyFrozen(nn.Module):
    """A module that keeps some of its submodules in eval mode.

    Switching off gradients does not freeze a module: in training mode batch normalisation uses batch statistics and
    updates its running ones, and dropout is active.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept_in_eval: tuple[nn.Module, ...] = ()

    @property
    def kept_in_eval(self) -> tuple[nn.Module, ...]:
        """The modules that `train()` leaves in eval mode."""
        return self._kept_in_eval

    def keep_in_eval(self, modules: Iterable[nn.Module]) -> None:
        """Keep exactly these modules, without their submodules, in eval mode from now on."""
        self._kept_in_eval = tuple(modules)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or eval mode for all but the modules kept in eval mode."""
        super().train(mode)
        for module in self._kept_in_eval:
            module.training = False
        return self

"""A network of which parts stay in eval mode, whatever `train()` says."""

from collections.abc import Iterable
from typing import Self

from torch import nn


class PartlyFrozen(nn.Module):
    """A module that keeps some of the modules inside it in eval mode.

    A frozen batch normalisation that `train()` wakes up uses the statistics of its batch and changes its own; a frozen
    dropout drops. Without a gradient alone nothing is frozen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept_in_eval: tuple[nn.Module, ...] = ()

    @property
    def kept_in_eval(self) -> tuple[nn.Module, ...]:
        """The modules that `train()` leaves in eval mode."""
        return self._kept_in_eval

    def keep_in_eval(self, modules: Iterable[nn.Module]) -> None:
        """From now on exactly these modules (each by itself, not what they contain) stay in eval mode."""
        self._kept_in_eval = tuple(modules)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode, except where modules are kept in eval mode."""
        super().train(mode)
        for module in self._kept_in_eval:
            module.training = False
        return self

"""A network whose training passes are compiled by `torch.compile`; its weights are those of the network."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import first_line
from eenas.errors import EenasError, TrainingError
from eenas.faults import is_device_failure, is_memory_shortage
from eenas.networks.exit_pass import ExitPass
from eenas.networks.network import EarlyExitNetwork

Options = tuple[tuple[int, ...] | None, bool]
"""The exits of a pass (None: all), and whether gradients are in equilibrium."""


class CompiledNetwork(nn.Module):
    """The passes of a network in training, each compiled at its first call.

    Hooks that stay make a pass compilable, so each kind of pass runs a copy of the network's modules that shares all
    parameters and buffers; the network itself gets no hooks, and its state dict has the same keys. `modes` are the
    kinds of passes.
    """

    def __init__(self, network: EarlyExitNetwork, modes: Iterable[Options]) -> None:
        super().__init__()
        shared = {id(each): each for each in (*network.parameters(), *network.buffers())}
        self.modes = tuple(dict.fromkeys(modes))
        self.copies = nn.ModuleList(copy_of(network, sharing=shared) for _ in self.modes)
        self._passes = [
            ExitPass(copy, mode[0], equilibrium=mode[1])
            for copy, mode in zip(self._networks(), self.modes, strict=True)
        ]
        self._compiled = [torch.compile(each.__enter__()) for each in self._passes]
        self._last = 0

    def forward(self, x: Tensor, *, equilibrium: bool = False, exits: Sequence[int] | None = None) -> list[Tensor]:
        """Return what the network's own `forward` returns, up to rounding."""
        index = self.modes.index((None if exits is None else tuple(exits), equilibrium))
        self._last = index
        found: list[Tensor] = self._compiled[index](x)
        return found

    def auxiliary_losses(self, labels: Tensor, exits: Sequence[int] | None = None) -> list[Tensor | None]:
        """Return the auxiliary losses of the branches for the last pass, as those of the network."""
        return self._networks()[self._last].auxiliary_losses(labels, exits)

    def close(self) -> None:
        """Free the compiled programs. No pass may follow."""
        for each in self._passes:
            each.__exit__()
        torch.compiler.reset()

    def _networks(self) -> list[EarlyExitNetwork]:
        return [each for each in self.copies if isinstance(each, EarlyExitNetwork)]


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Raise TrainingError with the fix if the compiler fails inside the block."""
    try:
        yield
    except EenasError:
        raise
    except Exception as error:  # compilers raise errors of many kinds
        if is_memory_shortage(error) or is_device_failure(error):
            raise
        raise TrainingError(
            f"torch.compile failed for the training step ({type(error).__name__}: {first_line(error)}); set compile to "
            '"auto" or false, or correct this (on CPUs, a C++ compiler such as g++ is required)'
        ) from error

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
    kinds of passes. What a forward pass stores in other attributes stays in the copy.
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
        self._buffers_of = [list(_buffers(copy)) for copy in self.copies]
        self._last = 0

    def forward(self, x: Tensor, *, equilibrium: bool = False, exits: Sequence[int] | None = None) -> list[Tensor]:
        """Return what the network's own `forward` returns, up to rounding.

        Raises TrainingError if a module replaces a buffer, which the network would not have then.
        """
        index = self.modes.index((None if exits is None else tuple(exits), equilibrium))
        self._last = index
        found: list[Tensor] = self._compiled[index](x)
        for module, name, shared in self._buffers_of[index]:
            if module._buffers.get(name) is not shared:
                raise TrainingError(
                    f"{type(module).__name__} replaces its buffer {name!r}, so compiled passes would lose it; "
                    f"change it in place (self.{name}.copy_(...)), or set compile to false"
                )
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


def _buffers(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Yield the buffers of a network with their module and their name in it."""
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            yield module, name, buffer


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

"""Exit tables of a network whose features pass through a codec at a cut point, as on a link between tiers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from eenas.backbones.carried import Packer
from eenas.errors import MeasurementError
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import exit_table
from eenas.policies.exit_table import ExitTable
from eenas.tasks.split import Split

Code = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Returns the features [n, ...] as they are behind a link, from those before it."""


def coded_table(network: EarlyExitNetwork, split: Split, costs: ExitCosts, codes: Mapping[str, Code]) -> ExitTable:
    """Return the exit table of a network on a split with features coded at the cut points in `codes`.

    Exits at a cut point or before it see the features uncoded. Raises MeasurementError for a cut point whose module
    does not return a tensor.
    """
    with _coded(network, codes):
        return exit_table(network, split, costs)


@contextmanager
def _coded(network: EarlyExitNetwork, codes: Mapping[str, Code]) -> Iterator[None]:
    """Let features pass through the codes in every forward pass inside the block.

    The hooks are set when the backbone begins, after those of the network, so that a branch at the cut point has the
    features before them.
    """
    modules, handles = dict(network.backbone.named_modules()), list[RemovableHandle]()

    def clear() -> None:
        while handles:
            handles.pop().remove()

    packer = Packer(network.backbone)

    def begin(_module: nn.Module, _arguments: Any) -> None:
        clear()
        handles.extend(
            modules[name].register_forward_hook(partial(_pass, name, code, packer)) for name, code in codes.items()
        )

    first = network.backbone.register_forward_pre_hook(begin)
    try:
        with packer:
            yield
    finally:
        first.remove()
        clear()


def _pass(name: str, code: Code, packer: Packer, _module: nn.Module, _arguments: Any, output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise MeasurementError(
            f"the features at {name!r} are not one tensor, so that a codec cannot be measured there; set codec = "
            '"float32" on the link'
        )
    coded = code(packer(output).detach().float().cpu().numpy())
    return packer.features(torch.from_numpy(np.ascontiguousarray(coded)).to(output), output)

"""How many message-passing layers a network for graphs runs until each cut point."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.copies import evaluated
from eenas.backbones.graphs.geometric import message_passing
from eenas.backbones.graphs.graph_blocks import GraphBlock
from eenas.backbones.graphs.message_layers import MessageLayer
from eenas.backbones.graphs.packed_module import first_packed


def passes_messages(module: nn.Module) -> bool:
    """Whether a module is a message-passing layer: one of eenas, or of torch_geometric's class `MessagePassing`."""
    kind = message_passing()
    return isinstance(module, MessageLayer) or (kind is not None and isinstance(module, kind))


@torch.no_grad()
def message_counts(module: nn.Module, example: Tensor, names: Sequence[str]) -> tuple[int, ...]:
    """Return how often messages had passed when each of the modules `names` was left, and last in all, [P + 1].

    The network runs once on `example`, in eval mode. A layer of torch_geometric counts once for each propagation, of
    which some have several (`SGConv` with K = 3, for example). A layer that is called again counts again. The layer of
    a `GraphBlock` counts once if it is of neither kind. Other networks pass no messages: the result is empty.
    """
    if first_packed(module) is None:
        return ()
    count, found = 0, dict.fromkeys(names, 0)

    def passed(*_: object) -> None:
        nonlocal count
        count += 1

    def left(name: str) -> None:
        found[name] = count

    copied = evaluated(module, device="cpu")
    with ExitStack() as hooks:
        for layer in _layers(copied):
            kind = message_passing()
            if kind is not None and isinstance(layer, kind):
                passing: Any = layer  # its hook is not known to every checker
                handle = passing.register_propagate_forward_pre_hook(passed)
            else:
                handle = layer.register_forward_pre_hook(passed)
            hooks.callback(handle.remove)
        for name in names:
            handle = copied.get_submodule(name).register_forward_hook(lambda *_, name=name: left(name))
            hooks.callback(handle.remove)
        copied(example.cpu())
    return (*found.values(), count)


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers whose calls count, without those inside another layer of eenas, each once."""
    found = {id(part): part for part in module.modules() if passes_messages(part)}
    for part in module.modules():
        if isinstance(part, MessageLayer):
            for inner in part.modules():
                if inner is not part:
                    found.pop(id(inner), None)
    blocks = [part.layer for part in module.modules() if isinstance(part, GraphBlock)]
    plain = [layer for layer in blocks if not any(passes_messages(inner) for inner in layer.modules())]
    return [*found.values(), *plain]

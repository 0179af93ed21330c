"""A network that classifies the nodes of one graph, with an exit behind every hop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eenas.backbones.graphs.message_layers import LAYERS, MessageLayer, PropagationLayer, message_layer
from eenas.errors import BackboneError, InputError, plural
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.labelled_nodes import NodeTask, check_node_task

STATIONARY = "sgc"
"""The kind whose layers have no weights, so that its stationary state is known."""
KINDS_OF_LAYERS = (*LAYERS, STATIONARY)


class NodeNetwork(nn.Module):
    """A linear encoder, L message-passing layers of one width, and L + 1 exits: before the first layer and behind each.

    With the features [n, F] and the edges [2, E] of a graph, `forward` returns the logits of every exit, each
    [n, classes]. Exit k answers from the messages of k hops; exit 0 needs none. `layers` may be modules of the user
    with `forward(x, edges)`, such as those of torch_geometric. Layers with weights are followed by a ReLU, and from the
    second one on their result is added to their input.

    Raises BackboneError for sizes out of range, an unknown kind, and, when it runs, layers of another width.
    """

    def __init__(
        self,
        features: int,
        num_classes: int,
        *,
        kind: str = "gcn",
        hops: int = 4,
        width: int = 64,
        dropout: float = 0.5,
        layers: Sequence[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if layers is not None:
            hops = len(layers)
        sizes = (features, num_classes, hops, width)
        whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
        share = type(dropout) in (int, float) and 0 <= dropout < 1
        if not whole or min(features, num_classes - 1, hops, width) < 1 or not share:
            raise BackboneError(
                "a node network needs at least one feature, two classes, one hop and a width of 1, and dropout in "
                f"[0, 1), got {features}, {num_classes}, {hops}, {width} and {dropout}"
            )
        if layers is None and kind not in KINDS_OF_LAYERS:
            raise BackboneError(f"the kind of a node network is one of {', '.join(KINDS_OF_LAYERS)}, got {kind!r}")
        self.kind = kind if layers is None else "own"
        self.width, self.dropout, self.num_classes = width, dropout, num_classes
        self.encoder = nn.Linear(features, width)
        made = [PropagationLayer() if kind == STATIONARY else message_layer(kind, width, width) for _ in range(hops)]
        self.layers = nn.ModuleList(made if layers is None else layers)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, num_classes)) for _ in range(hops + 1)
        )

    @property
    def hops(self) -> int:
        """The number of layers L."""
        return len(self.layers)

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of the exits, "hop 0" to the last one, which is called "final"."""
        return (*(f"hop {k}" for k in range(self.hops)), "final")

    def encoded(self, x: Tensor) -> Tensor:
        """Return the features [n, width] before the first hop."""
        found: Tensor = self.encoder(F.dropout(x, self.dropout, self.training))
        return found if self.kind == STATIONARY else found.relu()

    def hop(
        self, index: int, h: Tensor, edges: Tensor, targets: int | None = None, degree: Tensor | None = None
    ) -> Tensor:
        """Return the features behind hop `index` (from 0) of the first `targets` nodes, [targets or n, width].

        `h` are those before it. `degree` is described in `message_layers`.
        """
        layer = self.layers[index]
        dropped = F.dropout(h, self.dropout, self.training)
        if isinstance(layer, MessageLayer):
            found: Tensor = layer(dropped, edges, targets, degree)
        else:
            found = layer(dropped, edges)
            if not isinstance(found, Tensor) or found.shape != h.shape:
                got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise BackboneError(
                    f"layer {index} ({type(layer).__name__}) must return {list(h.shape)}, the features of each node in "
                    f"the width of the network, got {got}; set width or change the layer"
                )
            found = found if targets is None else found[:targets]
        if self.kind == STATIONARY:
            return found
        own = h if targets is None else h[:targets]
        return found.relu() + own if index else found.relu()

    def logits(self, k: int, h: Tensor) -> Tensor:
        """Return the logits [n, classes] of exit k from the features behind k hops, [n, width]."""
        found: Tensor = self.heads[k](h)
        return found

    def states(self, x: Tensor, edges: Tensor, leaves: Tensor | None = None) -> list[Tensor]:
        """Return the features before the first hop and behind every hop, L + 1 of [n, width].

        With `leaves` [n], a node takes part in as many hops only, and then sends the features that it had.
        """
        h, found = self.encoded(x), []
        found.append(h)
        for index in range(self.hops):
            after = self.hop(index, h, edges)
            h = after if leaves is None else torch.where((leaves > index)[:, None], after, h)
            found.append(h)
        return found

    def forward(self, x: Tensor, edges: Tensor, leaves: Tensor | None = None) -> list[Tensor]:
        """Return the logits of all exits, each [n, classes]. `leaves` is described at `states`."""
        return [self.logits(k, h) for k, h in enumerate(self.states(x, edges, leaves))]

    def macs(self, degree: float) -> tuple[float, ...]:
        """Return the MACs of a node that leaves at each exit, [L + 1], with `degree` incoming edges.

        They count its own weights and one multiplication per feature and message. Weights of neighbours are theirs.
        """
        total, found = float(self.encoder.weight.numel()), []
        for k in range(self.hops + 1):
            if k:
                total += _matrices(self.layers[k - 1]) + (degree + 1) * self.width
            total += _matrices(self.heads[k])
            found.append(total)
        return tuple(found)


def _matrices(module: nn.Module) -> int:
    """Return the number of weights in matrices, each of which is one multiplication for a node."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)


def tensors_of(graph: GraphArrays, device: Any = None) -> tuple[Tensor, Tensor]:
    """Return the features [n, F] and the edges [2, E] of a graph as tensors."""
    return torch.from_numpy(np.array(graph.x)).to(device), torch.from_numpy(np.array(graph.edges)).to(device)


def check_fits(network: NodeNetwork, task: NodeTask) -> None:
    """Raise TaskError for anything but a task of nodes, InputError for a network of other features or classes."""
    check_node_task(task)
    if (network.encoder.in_features, network.num_classes) != (task.graph.features, task.num_classes):
        raise InputError(
            f"{task.name} has {plural(task.graph.features, 'feature')} and "
            f"{plural(task.num_classes, 'class', 'classes')}"
            f", but the network takes {network.encoder.in_features} and has {network.num_classes}; build it with those "
            "of the task"
        )

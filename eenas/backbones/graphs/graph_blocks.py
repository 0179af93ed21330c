"""Networks that classify graphs: message-passing blocks, a read-out and a classifier, as a sequence of packed tensors.

Each block takes and gives one tensor [N, M, D + c]: the features of the nodes, the mask and the edges (see
`eenas.tasks.graphs.graph_input`). So a network can be cut behind each block, and samples leave as rows of the batch.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eenas.backbones.graphs.geometric import geometric_layers
from eenas.backbones.graphs.graph_batch import GraphBatch
from eenas.backbones.graphs.message_layers import message_layer
from eenas.backbones.graphs.packed_module import PackedModule
from eenas.errors import BackboneError

BLOCKS, WIDTH = 5, 64
"""Those of the GIN of Xu et al. 2019, section 7, for bioinformatics and social graphs."""
READOUTS = ("mean", "max", "sum")


class GraphBlock(PackedModule):
    """A message-passing layer, batch normalisation over the real nodes and ReLU; [N, M, D + c] to [N, M, D' + c].

    `layer` maps features [n, D] and edges [2, E] to [n, D'].
    """

    def __init__(self, layer: nn.Module, inputs: int, outputs: int) -> None:
        super().__init__(inputs)
        self.layer = layer
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, packed: Tensor) -> Tensor:
        """Return the packed features behind the block."""
        batch = GraphBatch.of(packed, self.inputs)
        return batch.repacked(self.norm(self.layer(batch.x, batch.edges)).relu())


class Readout(PackedModule):
    """The mean, maximum or sum of the features of a graph's nodes, or several joined; [N, M, D + c] to [N, P D].

    `features` is D. The padding is left out.
    """

    def __init__(self, features: int, pools: Sequence[str] = READOUTS) -> None:
        super().__init__(features)
        if unknown := [pool for pool in pools if pool not in READOUTS]:
            raise BackboneError(f"a read-out is one of {', '.join(READOUTS)}, got {unknown[0]!r}")
        self.pools = tuple(pools)

    def forward(self, packed: Tensor) -> Tensor:
        """Return the vector of each graph."""
        x, mask = packed[..., : self.inputs], packed[..., self.inputs : self.inputs + 1] > 0.5
        return torch.cat([pooled_nodes(pool, x, mask) for pool in self.pools], dim=1)


def pooled_nodes(pool: str, x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean, maximum or sum [N, D] of nodes [N, M, D] where `mask` [N, M, 1] is true."""
    if pool == "max":
        return torch.where(mask, x, torch.finfo(x.dtype).min).amax(dim=1)
    total = torch.where(mask, x, 0.0).sum(dim=1)
    return total if pool == "sum" else total / mask.sum(dim=1).clamp(min=1)


def graph_network(kind: str, num_classes: int, features: int, width: int = WIDTH, blocks: int = BLOCKS) -> nn.Module:
    """Return a network of blocks of one kind: "gin", "gcn", "gat" or "sage" in plain torch, "pyg_gin" and so on of PyG.

    It maps packed graphs [N, M, features + c] to logits [N, num_classes]. Its read-out joins mean, maximum and sum.

    Raises BackboneError for sizes below 1, and if torch_geometric is needed and not installed.
    """
    if min(num_classes, features, width, blocks) < 1:
        raise BackboneError(
            "a graph network has at least one class, feature, block and a width of 1, got "
            f"{num_classes}, {features}, {blocks} and {width}"
        )
    parts: list[tuple[str, nn.Module]] = []
    for number in range(blocks):
        before = width if number else features
        parts.append((f"block{number}", GraphBlock(_layer(kind, before, width), before, width)))
    parts += [("readout", Readout(width)), ("classifier", nn.Linear(width * len(READOUTS), num_classes))]
    return nn.Sequential(OrderedDict(parts))


def _layer(kind: str, inputs: int, outputs: int) -> nn.Module:
    if not kind.startswith("pyg_"):
        return message_layer(kind, inputs, outputs)
    geometric = geometric_layers(kind, f"or use {kind.removeprefix('pyg_')}, which does not need it")
    if kind == "pyg_gin":
        mlp = nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))
        layer: nn.Module = geometric.GINConv(mlp, train_eps=True)
    elif kind == "pyg_gcn":
        layer = geometric.GCNConv(inputs, outputs)
    else:
        layer = geometric.GATConv(inputs, outputs // 4, heads=4)
    return layer

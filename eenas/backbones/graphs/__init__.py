"""Backbones of graphs: message passing on node features and edges, in batches of padded graphs."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.backbones.graphs.graph_blocks import GraphBlock, Readout, graph_network
    from eenas.backbones.graphs.message_layers import message_layer

_HOMES = {
    "GraphBlock": "graph_blocks",
    "Readout": "graph_blocks",
    "graph_network": "graph_blocks",
    "message_layer": "message_layers",
}
__all__ = [
    "GraphBlock",
    "Readout",
    "graph_network",
    "message_layer",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)

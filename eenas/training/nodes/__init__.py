"""Training of networks that classify the nodes of one graph."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.training.nodes.node_training import NodeTraining, train_nodes

_HOMES = {
    "NodeTraining": "node_training",
    "train_nodes": "node_training",
}
__all__ = [
    "NodeTraining",
    "train_nodes",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)

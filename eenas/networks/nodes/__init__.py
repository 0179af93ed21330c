"""Early exits of nodes: classification of the nodes of one graph, hop by hop."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.networks.nodes.node_fit import NodeFit, fit_nodes
    from eenas.networks.nodes.node_network import NodeNetwork
    from eenas.networks.nodes.node_prediction import NodePrediction, predict_nodes
    from eenas.networks.nodes.node_table import NodeTable, distance_limit, node_policy, node_tables
    from eenas.networks.nodes.stationary import DistanceRule, stationary_state

_HOMES = {
    "DistanceRule": "stationary",
    "NodeFit": "node_fit",
    "NodeNetwork": "node_network",
    "NodePrediction": "node_prediction",
    "NodeTable": "node_table",
    "distance_limit": "node_table",
    "fit_nodes": "node_fit",
    "node_policy": "node_table",
    "node_tables": "node_table",
    "predict_nodes": "node_prediction",
    "stationary_state": "stationary",
}
__all__ = [
    "DistanceRule",
    "NodeFit",
    "NodeNetwork",
    "NodePrediction",
    "NodeTable",
    "distance_limit",
    "fit_nodes",
    "node_policy",
    "node_tables",
    "predict_nodes",
    "stationary_state",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)

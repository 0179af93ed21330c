"""Tasks of graphs: graph classification, and node classification in one graph."""

from typing import TYPE_CHECKING

from eenas.public_names import lazily

if TYPE_CHECKING:
    from eenas.tasks.graphs.block_model import block_model_task
    from eenas.tasks.graphs.graph_arrays import GraphArrays
    from eenas.tasks.graphs.labelled_graphs import graph_task
    from eenas.tasks.graphs.labelled_nodes import NodeTask
    from eenas.tasks.graphs.node_files import node_task
    from eenas.tasks.graphs.pyg_data import task_of_data

_HOMES = {
    "GraphArrays": "graph_arrays",
    "NodeTask": "labelled_nodes",
    "block_model_task": "block_model",
    "graph_task": "labelled_graphs",
    "node_task": "node_files",
    "task_of_data": "pyg_data",
}
__all__ = [
    "GraphArrays",
    "NodeTask",
    "block_model_task",
    "graph_task",
    "node_task",
    "task_of_data",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)

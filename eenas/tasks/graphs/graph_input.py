"""The input spec of graphs: a padded array of node features, a node mask, and edges.

One graph is float32 [M, F + 1 + 2 S]. Row i holds the F features of node i, then 1 in the mask, then S edge slots of
two columns each: the source and the target of an edge, counted from 1. The E edges of a graph fill the slots row by
row, so that M S >= E. Rows behind the nodes and slots behind the edges are 0. Padding to a larger M appends rows of
zeros. A table of neighbours would need as many columns as the largest node has neighbours; here hubs take no more room
than other nodes, and the order of the edges is kept.
"""

from eenas.errors import TaskError
from eenas.tasks.inputs import Axis, InputSpec, TensorSpec

KIND = "graphs"
NAME = "graphs"
FEATURES, SLOTS, NODES = "features", "edge_slots", "reference_nodes"
"""The options of the spec: F, S, and the number of nodes at which costs are stated."""


def graph_input(features: int, slots: int, reference_nodes: int) -> InputSpec:
    """Return the spec of graphs of any size with F `features` a node and S edge `slots` a node."""
    if min(features, reference_nodes) < 1 or slots < 0:
        raise TaskError(
            f"graphs have at least one feature and one node and no fewer than 0 edge slots, got {features}, "
            f"{reference_nodes} and {slots}"
        )
    axes = (Axis("node"), Axis("column", columns_of(features, slots)))
    options = tuple(sorted({FEATURES: features, SLOTS: slots, NODES: reference_nodes}.items()))
    return InputSpec(kind=KIND, tensors=((NAME, TensorSpec("float32", axes)),), options=options)


def columns_of(features: int, slots: int) -> int:
    """Return the number of columns of the padded array: the features, the mask, and two for each edge slot."""
    return features + 1 + 2 * slots


def graph_option(inputs: InputSpec, name: str) -> int:
    """Return a numeric option of the spec of graphs. Raises TaskError for a spec without it."""
    value = inputs.option(name)
    if not isinstance(value, int):
        raise TaskError(f"the input of graphs needs the option {name!r}, got {inputs}")
    return value

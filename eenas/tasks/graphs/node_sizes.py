"""The number of nodes of each graph from the graph of each node."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError


def sizes_of(batch: Any, nodes: int) -> NDArray[np.int64]:
    """Return the sizes [G] of graphs from `batch` [nodes], the graph of each node: 0, 0, 1, 1, 1, and so on.

    Raises TaskError for no nodes, another shape or type, other graphs than 0 to G - 1 in rising order, and a graph
    without nodes.
    """
    given = np.asarray(batch)
    if nodes == 0:
        raise TaskError("x has no nodes; give each graph at least one node, with a row of x")
    if given.shape != (nodes,) or given.dtype.kind not in "iu":
        got = f"{given.dtype} of shape {list(given.shape)}"
        raise TaskError(f"batch must be {nodes} integers, the graph of each node, got {got}; give each row of x one")
    steps = np.diff(given.astype(np.int64), prepend=0)
    if (steps < 0).any():
        place = int(np.flatnonzero(steps < 0)[0])
        raise TaskError(f"batch must start at 0 and rise, got {given[place]} at node {place}; sort the nodes by graph")
    if (steps > 1).any():
        raise TaskError(
            f"graph {int(given[np.flatnonzero(steps > 1)[0]]) - 1} has no nodes; leave it out of batch and y, or give "
            "it at least one node"
        )
    return np.bincount(given.astype(np.int64))

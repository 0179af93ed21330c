"""Plain arrays of graphs: node features, edges, and the number of nodes of each graph, checked at birth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, plural
from eenas.escaping import shortened

MOST_NODES = 1 << 24
"""The largest number of nodes of a graph: float32 holds each of their numbers exactly."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphArrays:
    """One or more graphs, joined to one graph without edges between its parts.

    `x` is float32 [nodes, F]. `edges` is int64 [2, E]: a message passes from the node `edges[0, e]` to the node
    `edges[1, e]`; an undirected edge is stored in both directions. `sizes` int64 [G] holds the number of nodes of each
    graph, whose nodes stand together. Self-loops, isolated nodes and repeated edges are kept, as torch_geometric does.
    Graphs without edges are allowed, and graphs without nodes are not.

    Raises TaskError for other arrays, values that are not finite, node numbers out of range, and edges between graphs.
    """

    x: NDArray[np.float32]
    edges: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Convert to the documented types and check the values."""
        object.__setattr__(self, "x", _features(self.x))
        object.__setattr__(self, "edges", _edges(self.edges, len(self.x)))
        sizes = np.asarray(self.sizes)
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or len(sizes) == 0:
            raise TaskError(f"sizes must be integers [graphs], got {sizes.dtype} of shape {list(sizes.shape)}")
        object.__setattr__(self, "sizes", sizes.astype(np.int64))
        if (self.sizes < 1).any():
            empty = int(np.flatnonzero(self.sizes < 1)[0])
            raise TaskError(f"graph {empty} has no nodes; leave it out, or give it at least one node")
        if self.sizes.sum() != len(self.x):
            raise TaskError(
                f"the graphs have {plural(int(self.sizes.sum()), 'node')} in all, but x has "
                f"{plural(len(self.x), 'row')}"
            )
        if self.sizes.max() > MOST_NODES:
            raise TaskError(f"a graph may have at most {MOST_NODES:,} nodes, got {self.sizes.max():,}; split it")
        across = np.flatnonzero(self.graph_of[self.edges[0]] != self.graph_of[self.edges[1]])
        if len(across):
            source, target = self.edges[:, across[0]].tolist()
            raise TaskError(
                f"an edge joins two nodes of one graph, but edge {across[0]} leads from node {source} of graph "
                f"{self.graph_of[source]} to node {target} of graph {self.graph_of[target]}; leave it out"
            )

    @classmethod
    def joined(cls, graphs: Sequence[tuple[Any, Any]], names: Sequence[str] | None = None) -> Self:
        """Return the arrays of graphs, each given by its features [n, F] and its edges [2, E] with nodes from 0.

        Errors call the graphs by `names`, by default "graph 0" and so on.
        """
        if not graphs:
            raise TaskError("a task needs at least one graph, got none; give more")
        xs, edges, start = [], [], 0
        for number, (x, pairs) in enumerate(graphs):
            name = f"graph {number}" if names is None else names[number]
            try:
                xs.append(_features(x))
                edges.append(_edges(pairs, len(xs[-1])) + start)
            except TaskError as error:
                raise TaskError(f"{name}: {error}") from None
            if xs[-1].shape[1] != xs[0].shape[1]:
                raise TaskError(
                    f"{name}: has {plural(xs[-1].shape[1], 'feature')} a node, but the first graph {xs[0].shape[1]}; "
                    "give all graphs the same features"
                )
            start += len(xs[-1])
        sizes = np.array([len(x) for x in xs], dtype=np.int64)
        return cls(x=np.concatenate(xs), edges=np.concatenate(edges, axis=1), sizes=sizes)

    def __len__(self) -> int:
        """The number of graphs G."""
        return len(self.sizes)

    @property
    def features(self) -> int:
        """The number of features F of a node."""
        return int(self.x.shape[1])

    @cached_property
    def graph_of(self) -> NDArray[np.int64]:
        """The graph of each node, [nodes]."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first node of each graph, and the number of all nodes, [G + 1]."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def edge_counts(self) -> NDArray[np.int64]:
        """The number of edges of each graph, [G]."""
        return np.bincount(self.graph_of[self.edges[0]], minlength=len(self.sizes))

    def take(self, graphs: NDArray[np.int64]) -> "GraphArrays":
        """Return the arrays of some graphs, in the given order."""
        pairs = [self.graph(int(number)) for number in graphs]
        return GraphArrays.joined(pairs)

    def graph(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the features [n, F] and the edges [2, E] of one graph, whose nodes count from 0."""
        first, last = self.starts[number], self.starts[number + 1]
        low, high = self._edge_starts[number], self._edge_starts[number + 1]
        return self.x[first:last], self._by_graph[:, low:high] - first

    @cached_property
    def _by_graph(self) -> NDArray[np.int64]:
        """The edges in the order of their graphs, otherwise as given."""
        return self.edges[:, np.argsort(self.graph_of[self.edges[0]], kind="stable")]

    @cached_property
    def _edge_starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.edge_counts)])


def incoming_edges(edges: NDArray[Any], nodes: int) -> NDArray[np.float32]:
    """Return the number of incoming edges of each node [nodes, 1], the features of graphs without any others.

    Node numbers out of range and arrays that are no edges are left to `GraphArrays`, which refuses them.
    """
    if edges.ndim != 2 or edges.shape[0] != 2 or edges.dtype.kind not in "iu":
        edges = np.empty((2, 0), dtype=np.int64)
    known = edges[1][(edges[1] >= 0) & (edges[1] < nodes)] if edges.size else np.empty(0)
    return np.bincount(known.astype(np.int64), minlength=nodes)[:, None].astype(np.float32)


def _features(values: Any) -> NDArray[np.float32]:
    given = _array(values, "x")
    if given.ndim == 1:
        given = given[:, None]
    if given.ndim != 2 or given.dtype.kind not in "fiub" or 0 in given.shape:
        raise TaskError(
            f"x must be numbers [nodes, features] of at least one node, got {_text(given)}; give each "
            "node a row of numbers"
        )
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(given, dtype=np.float32)
    if not np.isfinite(found).all():
        node, column = np.argwhere(~np.isfinite(found))[0].tolist()
        raise TaskError(f"x must be finite, got {given[node, column]} in feature {column} of node {node}; replace it")
    return found


def _edges(values: Any, nodes: int) -> NDArray[np.int64]:
    given = _array(values, "edge_index")
    if given.size == 0:
        return np.empty((2, 0), dtype=np.int64)
    if given.ndim != 2 or given.shape[0] != 2 or given.dtype.kind not in "iu":
        raise TaskError(f"edge_index must be integers [2, edges], got {_text(given)}{_edge_fix(given)}")
    wrong = (given < 0) | (given >= nodes)
    if wrong.any():
        raise TaskError(
            f"edge_index must name nodes 0 to {nodes - 1}, got {given[wrong][0]} in edge "
            f"{int(np.argwhere(wrong.any(axis=0))[0, 0])}; number the nodes from 0"
        )
    return given.astype(np.int64)


def _edge_fix(given: NDArray[Any]) -> str:
    """Return what makes edges of these values, as the end of a message."""
    if given.ndim == 2 and given.shape[0] == 2 and given.dtype.kind == "f":
        whole = np.isfinite(given).all() and (given == np.rint(given)).all()
        return "; use edge_index.astype(int)" if whole else "; number the nodes from 0"
    turned = given.ndim == 2 and given.shape[1] == 2 and given.dtype.kind in "iu"
    return "; use edge_index.T" if turned else "; give the sources in one row and the targets in the other"


def _array(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception:  # lists of unequal length
        raise TaskError(f"{name} must be an array of numbers, got {shortened(values)}") from None


def _text(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {list(array.shape)}"

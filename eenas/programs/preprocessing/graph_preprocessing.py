"""The transform of graphs in NumPy: node features and edges to padded arrays, which are checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.archives import read_arrays
from eenas.errors import InputError, SpecError
from eenas.programs.preprocessing.preprocessing import Preprocessing, check_finite, check_is_array

GRAPHS = "graphs"
_MOST_COLUMNS = 1 << 20


@dataclass(frozen=True)
class GraphPreprocessing(Preprocessing):
    """Converts graphs to padded float32 [N, M, features + 1 + 2 slots]: features, node mask, edges counted from 1.

    The E edges of a graph of n nodes fill its n * `slots` pairs of columns row by row. `nodes` is the size of the graph
    at which costs are stated. Raises InputError for invalid numbers.
    """

    files: ClassVar[str] = "graph"
    features: int
    slots: int
    nodes: int

    def __post_init__(self) -> None:
        """Check the values, which may come from a damaged manifest."""
        for name, value, least in (("features", self.features, 1), ("slots", self.slots, 0), ("nodes", self.nodes, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_COLUMNS:
                raise InputError(f"{name} of graphs must be a whole number of at least {least}, got {value!r:.60}")

    def file_endings(self) -> tuple[str, ...]:
        """See `Preprocessing.file_endings`."""
        return (".npz",)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a graph: any number of nodes (0), and the columns."""
        return (0, self.features + 1 + 2 * self.slots)

    def blank(self, batch: int) -> NDArray[np.float32]:
        """Return a batch of graphs of the reference size without edges."""
        found = np.zeros((batch, self.nodes, self.shape[1]), dtype=np.float32)
        found[..., self.features] = 1
        return found

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.float32]:
        """Return graphs as a padded batch [N, M, columns], M the largest of them.

        Each source is a pair (x [n, features], edge_index [2, E]), an object with these attributes such as a Data
        object of torch_geometric, the path of a `.npz` file with both arrays, or a padded array [n, columns] or
        [N, M, columns]. A file and an object may hold several graphs, if they also have `batch` [n], the graph of each
        node, as a file of a task and a Batch object do.
        Raises InputError for any other source, node numbers out of range, and graphs with more edges than fit.
        """
        made = [graph for source in sources for graph in self._read_graphs(source)]
        found = np.zeros((len(made), max(map(len, made), default=1), self.shape[1]), dtype=np.float32)
        for row, graph in zip(found, made, strict=True):
            row[: len(graph)] = graph
        return self.checked(found)

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return a padded batch as float32. Raises InputError as `checked` does."""
        check_is_array(samples)
        if samples.dtype.kind not in "iuf":
            raise self._refused_graphs(samples)
        return self.checked(samples.astype(np.float32))

    def checked(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return a padded batch. Raises InputError for any other array, and for edges of nodes that do not exist."""
        check_is_array(batch)
        if batch.dtype != np.float32 or batch.ndim != 3 or batch.shape[2] != self.shape[1]:
            raise self._refused_graphs(batch)
        check_finite(batch)
        mask = batch[..., self.features]
        counts = mask.sum(axis=1)
        if not ((mask == 0) | (mask == 1)).all() or (np.diff(mask, axis=1) > 0).any() or (counts < 1).any():
            raise InputError("the mask of each graph must be 1 for its nodes, at least one, and 0 behind them")
        ends = batch[..., self.features + 1 :]
        if ((ends[..., 0::2] == 0) != (ends[..., 1::2] == 0)).any():
            raise InputError("an edge needs a source and a target, both counted from 1, got one of them alone")
        if (ends != np.rint(ends)).any() or (ends < 0).any() or (ends > counts[:, None, None]).any():
            bad = int(np.flatnonzero(((ends < 0) | (ends > counts[:, None, None])).any(axis=(1, 2)))[:1].sum())
            raise InputError(f"the edges of a graph must name its nodes, got other numbers in graph {bad}")
        return np.ascontiguousarray(batch)

    def _read_graphs(self, source: Any) -> list[NDArray[np.float32]]:
        """Return the graphs of one source, each padded [n, columns]."""
        if isinstance(source, str | Path):
            source = _read_graph_file(Path(source))
        if isinstance(source, Mapping):
            source = (source.get("x"), source.get("edge_index"), source.get("batch"))
        elif hasattr(source, "edge_index"):
            source = (source.x, source.edge_index, getattr(source, "batch", None))
        if isinstance(source, tuple) and len(source) in (2, 3):
            x, edges, *batch = (None if each is None else np.asarray(each) for each in source)
            several = batch[0] if batch else None
            if several is None:
                return [self._padded(np.asarray(x), np.asarray(edges))]
            return [self._padded(*graph) for graph in _graphs_of(np.asarray(x), np.asarray(edges), several)]
        values = np.asarray(source)
        rows = values if values.ndim == 3 else values[None]
        if values.dtype.kind not in "iuf" or rows.ndim != 3 or rows.shape[2] != self.shape[1]:
            raise self._refused_graphs(values)
        return list(rows.astype(np.float32))

    def _padded(self, x: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.float32]:
        x = x[:, None] if x.ndim == 1 and self.features == 1 else x
        if x.ndim != 2 or x.dtype.kind not in "iuf" or x.shape[1] != self.features or not len(x):
            raise InputError(f"x of a graph must be numbers [nodes, {self.features}], got {x.dtype} {list(x.shape)}")
        edges = _checked_edges(edges, len(x))
        if edges.shape[1] > len(x) * self.slots:
            raise InputError(
                f"a graph of {len(x)} nodes may have at most {len(x) * self.slots} edges here, {self.slots} a node, "
                f"got {edges.shape[1]}; train a network on graphs as dense"
            )
        slots = np.zeros((len(x) * self.slots, 2), dtype=np.float32)
        slots[: edges.shape[1]] = edges.T + 1
        ones = np.ones((len(x), 1), dtype=np.float32)
        with np.errstate(over="ignore"):  # overflow becomes infinity, which is rejected later
            values = x.astype(np.float32)
        return np.concatenate([values, ones, slots.reshape(len(x), 2 * self.slots)], axis=1)

    def _refused_graphs(self, got: NDArray[Any]) -> InputError:
        return InputError(f"graphs must be floats [N, nodes, {self.shape[1]}], got {got.dtype} {list(got.shape)}")


def _checked_edges(edges: NDArray[Any], nodes: int) -> NDArray[Any]:
    """Return edges [2, E] of so many nodes. Raises InputError for any other array."""
    if edges.size == 0:
        return np.empty((2, 0), dtype=np.int64)
    if edges.ndim != 2 or edges.shape[0] != 2 or edges.dtype.kind not in "iu":
        raise InputError(f"edge_index must be integers [2, edges], got {edges.dtype} {list(edges.shape)}")
    if not (edges.min() >= 0 and edges.max() < nodes):
        raise InputError(f"edge_index must name nodes 0 to {nodes - 1}, got {edges.min()} to {edges.max()}")
    return edges


def _graphs_of(
    x: NDArray[Any], edges: NDArray[Any], batch: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Return the graphs (x, edge_index) of nodes and edges that are numbered over all graphs."""
    fits = batch.dtype.kind in "iu" and x.ndim > 0 and batch.shape == (len(x),) and len(x) > 0
    if not fits or batch[0] != 0 or not np.isin(np.diff(batch.astype(np.int64)), (0, 1)).all():
        raise InputError(
            f"batch must be {len(x) if x.ndim else 0} integers, the graph of each node, that start at 0 and rise by 1, "
            f"got {batch.dtype} {list(batch.shape)}; sort the nodes by graph"
        )
    edges = _checked_edges(edges, len(x))
    graphs = batch[edges]
    if (crossing := graphs[0] != graphs[1]).any():
        at = int(crossing.argmax())
        raise InputError(
            f"an edge joins two nodes of one graph, but edge {at} leads from graph {graphs[0, at]} to graph "
            f"{graphs[1, at]}; leave it out, or correct batch"
        )
    starts = np.searchsorted(batch, np.arange(int(batch[-1]) + 2))
    order = np.argsort(graphs[0], kind="stable")
    ends = np.searchsorted(graphs[0][order], np.arange(len(starts)))
    sorted_edges = edges[:, order].astype(np.int64)
    return [
        (x[starts[k] : starts[k + 1]], sorted_edges[:, ends[k] : ends[k + 1]] - starts[k])
        for k in range(len(starts) - 1)
    ]


def _read_graph_file(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays `x` and `edge_index` of a `.npz` file, and `batch` if it has several graphs."""
    if not path.is_file():
        raise InputError(f"{str(path)[:200]!r}: no such file; give a .npz file with x and edge_index")
    try:
        return read_arrays(path, ("x", "edge_index"), ("batch",))
    except SpecError as error:
        raise InputError(str(error)) from None

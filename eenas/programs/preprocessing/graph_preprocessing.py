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
        [N, M, columns].
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
            source = (source.get("x"), source.get("edge_index"))
        elif hasattr(source, "edge_index"):
            source = (source.x, source.edge_index)
        if isinstance(source, tuple) and len(source) == 2:
            return [self._padded(*(np.asarray(each) for each in source))]
        values = np.asarray(source)
        several = values if values.ndim == 3 else values[None]
        if values.dtype.kind not in "iuf" or several.ndim != 3 or several.shape[2] != self.shape[1]:
            raise self._refused_graphs(values)
        return list(several.astype(np.float32))

    def _padded(self, x: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.float32]:
        x = x[:, None] if x.ndim == 1 and self.features == 1 else x
        if x.ndim != 2 or x.dtype.kind not in "iuf" or x.shape[1] != self.features or not len(x):
            raise InputError(f"x of a graph must be numbers [nodes, {self.features}], got {x.dtype} {list(x.shape)}")
        if edges.size == 0:
            edges = np.empty((2, 0), dtype=np.int64)
        if edges.ndim != 2 or edges.shape[0] != 2 or edges.dtype.kind not in "iu":
            raise InputError(f"edge_index must be integers [2, edges], got {edges.dtype} {list(edges.shape)}")
        if edges.size and not (edges.min() >= 0 and edges.max() < len(x)):
            raise InputError(f"edge_index must name nodes 0 to {len(x) - 1}, got {edges.min()} to {edges.max()}")
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


def _read_graph_file(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays `x` and `edge_index` of a `.npz` file."""
    if not path.is_file():
        raise InputError(f"{str(path)[:200]!r}: no such file; give a .npz file with x and edge_index")
    try:
        return read_arrays(path, ("x", "edge_index"))
    except SpecError as error:
        raise InputError(str(error)) from None

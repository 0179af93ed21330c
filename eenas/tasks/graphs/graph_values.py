"""The graphs of one source, held in memory, and their padded batches."""

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import TaskError, plural
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.graph_input import FEATURES, SLOTS, columns_of, graph_input, graph_option
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples


@final
class GraphValues(Samples):
    """The graphs of one source, in the order of its labels. `name` is used in messages.

    `slots` is the number of edge slots a node (see `graph_input`), by default the fewest that all graphs fit in, but at
    least 1. `reference_nodes` is the size at which costs are stated, by default the mean number of nodes, rounded up.
    """

    def __init__(
        self,
        arrays: GraphArrays,
        name: str = "graphs",
        slots: int | None = None,
        reference_nodes: int | None = None,
    ) -> None:
        """`slots` must hold the edges of every graph, or TaskError is raised."""
        self.arrays, self._name = arrays, name
        self.slots = slots_for(arrays) if slots is None else slots
        _check_slots(arrays, self.slots, name)
        self.reference_nodes = reference_nodes or int(np.ceil(arrays.sizes.mean()))
        state = hashlib.sha256(repr((arrays.x.shape, arrays.edges.shape)).encode())
        for values, dtype in ((arrays.x, "<f4"), (arrays.edges, "<i8"), (arrays.sizes, "<i8")):
            state.update(np.ascontiguousarray(values.astype(dtype, copy=False)).data)
        self.digest = state.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def inputs(self) -> InputSpec:
        """The spec with the features and the edge slots of these graphs."""
        return graph_input(self.arrays.features, self.slots, self.reference_nodes)

    @property
    def names(self) -> Sequence[str]:
        """The name of the source and the position in it."""
        return [f"{self._name}[{row}]" for row in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each graph, [n]."""
        found = []
        for number in range(len(self)):
            x, edges = self.arrays.graph(number)
            state = hashlib.sha256(repr(x.shape).encode())
            state.update(np.ascontiguousarray(x.astype("<f4", copy=False)).data)
            state.update(np.ascontiguousarray(edges.astype("<i8", copy=False)).data)
            found.append(state.digest()[:8])
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "GraphReader":
        """Return a reader of the graphs at `rows`.

        Raises TaskError for another kind, other features, and graphs that do not fit into the edge slots.
        """
        if inputs.kind != self.inputs.kind:
            raise TaskError(f"the samples are {self.inputs}, but the network takes {inputs}; give data of that kind")
        wanted, slots = graph_option(inputs, FEATURES), graph_option(inputs, SLOTS)
        if wanted != self.arrays.features:
            raise TaskError(
                f"the graphs have {self.arrays.features} features a node, but the network takes {wanted}; give graphs "
                "with the same features"
            )
        _check_slots(self.arrays, slots, self._name)
        return GraphReader(self.arrays, rows, slots)


@final
class GraphReader:
    """The graphs of a split as padded arrays, in the order of its labels."""

    def __init__(self, arrays: GraphArrays, rows: NDArray[np.int64], slots: int) -> None:
        self._arrays, self._rows, self._slots = arrays, np.array(rows), slots

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the graphs at positions `indices` [n] of the split, float32 [n, M, columns]; see `graph_input`.

        M is the number of nodes of the largest of them.
        """
        numbers = self._rows[np.asarray(indices)]
        return padded([self._arrays.graph(int(number)) for number in numbers], self._arrays.features, self._slots)


def slots_of(arrays: GraphArrays) -> int:
    """Return the fewest edge slots a node in which the edges of every graph fit."""
    return int(np.ceil(arrays.edge_counts / arrays.sizes).max())


def slots_for(arrays: GraphArrays) -> int:
    """Return the edge slots of a task of these graphs: at least 1, since ONNX has no operators for axes of length 0."""
    return max(1, slots_of(arrays))


def _check_slots(arrays: GraphArrays, slots: int, name: str) -> None:
    if slots < (least := slots_of(arrays)):
        worst = int(np.argmax(arrays.edge_counts / arrays.sizes))
        raise TaskError(
            f"{name}[{worst}] has {plural(int(arrays.edge_counts[worst]), 'edge')} and "
            f"{plural(int(arrays.sizes[worst]), 'node')}, which needs "
            f"{least} edge slots a node, but there are {slots}; give sparser graphs, or train a network on such graphs"
        )


def padded(graphs: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]], features: int, slots: int) -> Tensor:
    """Return graphs, each a pair of features [n, F] and edges [2, E], as one array [N, M, columns]."""
    nodes = max((len(x) for x, _ in graphs), default=0)
    found = np.zeros((len(graphs), nodes, columns_of(features, slots)), dtype=np.float32)
    for row, (x, edges) in zip(found, graphs, strict=True):
        row[: len(x), :features] = x
        row[: len(x), features] = 1
        if edges.shape[1]:
            used = np.zeros((len(x) * slots, 2), dtype=np.float32)
            used[: edges.shape[1]] = edges.T + 1
            row[: len(x), features + 1 :] = used.reshape(len(x), 2 * slots)
    return torch.from_numpy(found)

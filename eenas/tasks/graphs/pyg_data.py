"""Tasks from torch_geometric's Data objects: a list of graphs with one label each, or one graph with labelled nodes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.bounds import shortened_error
from eenas.errors import PluginError, TaskError
from eenas.escaping import one_line, shortened
from eenas.tasks.graphs.graph_arrays import GraphArrays, incoming_edges
from eenas.tasks.graphs.labelled_graphs import graph_task
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

TORCH = (".pt", ".pth")
"""The endings of torch files."""


def task_of_data(
    name: str,
    graphs: Iterable[Any],
    *,
    classes: Sequence[str] | None = None,
    splits: SplitsSpec | None = None,
) -> Task:
    """Return the task of graph classification from Data objects with `x` [n, F], `edge_index` [2, E] and `y`, a class.

    Any objects with these attributes will do; a data set of torch_geometric is an iterable of them. Graphs without `x`
    get their number of incoming edges as the only feature. Edge attributes are not read.

    Raises TaskError for objects without these attributes, and for values that do not fit.
    """
    if hasattr(graphs, "edge_index"):
        raise TaskError(
            f"{name}: needs a list of Data objects, got one; its nodes are classified by eenas.tasks.graphs.node_task"
        )
    try:
        given = list(graphs)
    except TypeError:
        raise TaskError(f"{name}: needs a list of Data objects, got {type(graphs).__name__}") from None
    pairs, labels = [], []
    for number, data in enumerate(given):
        pairs.append(arrays_of(data, f"graph {number}"))
        label = values_of(getattr(data, "y", None))
        if label is None or label.size != 1 or label.dtype.kind not in "iub":
            got = "none" if label is None else f"{label.dtype} of shape {list(label.shape)}"
            raise TaskError(f"graph {number}: y must be one class number, got {got}; give each graph a class")
        labels.append(int(label.reshape(-1)[0]))
    graphs_joined = GraphArrays.joined(pairs)
    return graph_task(name, graphs_joined, np.array(labels, dtype=np.int64), classes=classes, splits=splits)


def arrays_of(data: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the features and the edges of a Data object. Raises TaskError, which calls it `name`."""
    try:
        edges, x = (values_of(getattr(data, key, None)) for key in ("edge_index", "x"))
    except TaskError as error:
        raise TaskError(f"{name}: {error}") from None
    if edges is None:
        raise TaskError(
            f"{name}: has no edge_index; give a Data object of torch_geometric with x, edge_index and y, got "
            f"{type(data).__name__}"
        )
    if x is None:
        nodes = getattr(data, "num_nodes", None)
        if nodes is None or nodes == 0:
            raise TaskError(f"{name}: has neither x nor num_nodes; give x, the features of its nodes")
        if not isinstance(nodes, int | np.integer) or nodes < 1:
            raise TaskError(f"{name}: num_nodes must be a whole number from 1 up, got {shortened(nodes)}; give x")
        x = incoming_edges(edges, int(nodes))
    return x, edges


def data_of_file(path: Path, *, trust_code: bool) -> Any:
    """Return the object in a file that `torch.save` wrote. Reading it can run code, so it needs `trust_code`.

    Raises PluginError without it, and TaskError for a broken file or a library that is not installed.
    """
    shown = one_line(str(path))
    if not trust_code:
        raise PluginError(
            f"{shown}: a torch file of Data objects can run Python code; pass --trust-code (trust_code=True) if you "
            "trust it, or save arrays in a .npz file"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        extra = "; pip install 'eenas[graph]'" if "torch_geometric" in str(error) else ""
        raise TaskError(f"{shown}: needs {error.name}, which is not installed{extra}") from None
    except Exception as error:  # torch and pickle raise many types of errors
        raise TaskError(f"{shown}: not a readable torch file ({shortened_error(error)}); write it again") from None


def values_of(values: Any) -> NDArray[Any] | None:
    """Return the numbers of a tensor or an array, or None if there are none. Raises TaskError for anything else."""
    if values is None:
        return None
    if isinstance(values, torch.Tensor):
        dense = values.detach().cpu() if values.layout == torch.strided else values.detach().cpu().to_dense()
        return (dense.float() if dense.dtype in (torch.bfloat16, torch.float16) else dense).numpy()
    try:
        return np.asarray(values)
    except Exception:  # lists of unequal length
        raise TaskError(f"a Data object holds tensors or arrays of numbers, got {shortened(values)}") from None

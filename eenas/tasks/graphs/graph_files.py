"""Graph tasks in a file or folder: a NumPy file, a folder of TU files, or a torch file of PyG's Data objects."""

import os
from pathlib import Path

from eenas.archives import read_arrays
from eenas.errors import SpecError, TaskError
from eenas.tasks.graphs.file_errors import naming_file, shown_file
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.labelled_graphs import graph_task
from eenas.tasks.graphs.node_sizes import sizes_of
from eenas.tasks.graphs.pyg_data import TORCH, data_of_file, task_of_data
from eenas.tasks.graphs.tu_files import tu_task
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

NEEDED = ("x", "edge_index", "batch", "y")
KNOWN = (*NEEDED, "test_mask", "classes")


def graphs_task(path: Path, splits: SplitsSpec | None = None, *, trust_code: bool = False) -> Task:
    """Return the task of graph classification in a file or folder.

    A `.npz` file has torch_geometric's names: `x` [nodes, F], `edge_index` [2, E] with nodes numbered over all graphs,
    `batch` [nodes] with the graph of each node, in rising order, `y` [graphs], and optionally `test_mask` [graphs] and
    `classes`. A folder holds the files of the TU collection. A `.pt` file holds a list of Data objects; reading it runs
    code, so that it needs `trust_code`.

    Raises TaskError, with the name of the file, if it is missing, broken or holds other data, and PluginError for a
    torch file without trust.
    """
    if not os.path.exists(path):
        raise TaskError(
            f"{shown_file(path)}: no such file; graphs:PATH takes a .npz file, a folder of TU files or a .pt file"
        )
    with naming_file(path):
        if path.is_dir():
            return tu_task(path, splits)
        if path.suffix in TORCH:
            return task_of_data(path.stem, data_of_file(path, trust_code=trust_code), splits=splits)
        return _npz_task(path, splits)


def _npz_task(path: Path, splits: SplitsSpec | None) -> Task:
    try:
        arrays = read_arrays(path, NEEDED, KNOWN)
    except SpecError as error:
        text = str(error)
        if "'batch' is missing" in text:
            text += "; a file of one graph with labelled nodes is read by eenas.tasks.graphs.node_task"
        raise TaskError(text) from None
    graphs = GraphArrays(x=arrays["x"], edges=arrays["edge_index"], sizes=sizes_of(arrays["batch"], len(arrays["x"])))
    test, classes = arrays.get("test_mask"), arrays.get("classes")
    return graph_task(path.stem, graphs, arrays["y"], test=test, classes=classes, splits=splits)

"""Loading a node task: the block model, a NumPy file, a torch file or a Data object of torch_geometric."""

import os
from pathlib import Path
from typing import Any

from eenas.archives import read_arrays
from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.tasks.graphs.block_model import block_model_task
from eenas.tasks.graphs.file_errors import naming_file, shown_file
from eenas.tasks.graphs.labelled_nodes import NodeTask
from eenas.tasks.graphs.pyg_data import TORCH, arrays_of, data_of_file, values_of
from eenas.tasks.spec import SplitsSpec

NEEDED = ("x", "edge_index", "y")
MASKS = ("train_mask", "val_mask", "test_mask")
KNOWN = (*NEEDED, *MASKS, "classes")
BLOCK_MODEL = "block_model"


def node_task(data: Any, splits: SplitsSpec | None = None, *, trust_code: bool = False) -> NodeTask:
    """Return the node task of `data`: "block_model", the path of a file, or a Data object of torch_geometric.

    A `.npz` file has torch_geometric's names: `x` [nodes, F], `edge_index` [2, E], `y` [nodes] (-1: unknown), and
    optionally `train_mask`, `val_mask` and `test_mask` [nodes] and `classes`. A `.pt` file holds a Data object or a
    list of one; reading it can run code, so that it needs `trust_code`.

    Raises TaskError, with the name of the file, if it is missing, broken or holds other data, and PluginError for a
    torch file without trust.
    """
    if isinstance(data, NodeTask):
        return data
    if data == BLOCK_MODEL:
        return block_model_task(splits=splits)
    if not isinstance(data, str | Path):
        return _of_data("nodes", data, splits)
    path = Path(os.path.expanduser(data))
    if not path.is_file():
        problem = "a folder, not a file" if path.is_dir() else "no such file"
        raise TaskError(f"{shown_file(path)}: {problem}; give {BLOCK_MODEL}, a .npz file, a .pt file or a Data object")
    with naming_file(path):
        if path.suffix in TORCH:
            return _of_data(path.stem, data_of_file(path, trust_code=trust_code), splits)
        return _of_npz(path, splits)


def _of_npz(path: Path, splits: SplitsSpec | None) -> NodeTask:
    arrays = read_arrays(path, NEEDED, KNOWN)
    masks = {name.removesuffix("_mask"): arrays[name] for name in MASKS if name in arrays}
    x, edges, y = (arrays[name] for name in NEEDED)
    return NodeTask.of(path.stem, x, edges, y, masks=masks, classes=arrays.get("classes"), splits=splits)


def _of_data(name: str, data: Any, splits: SplitsSpec | None) -> NodeTask:
    if isinstance(data, list | tuple) and len(data) == 1:
        data = data[0]
    if isinstance(data, list | tuple):
        raise TaskError(
            f"{name}: nodes are classified in one graph, got {len(data)} graphs; choose one, or join them "
            "(torch_geometric.data.Batch.from_data_list)"
        )
    x, edges = arrays_of(data, name)
    y = values_of(getattr(data, "y", None))
    if y is None:
        raise TaskError(f"{name}: has no y; give y, the class of each node, got {shortened(data)}")
    masks = {each.removesuffix("_mask"): values_of(getattr(data, each, None)) for each in MASKS}
    given = {each: mask for each, mask in masks.items() if mask is not None}
    return NodeTask.of(name, x, edges, y, masks=given, splits=splits)

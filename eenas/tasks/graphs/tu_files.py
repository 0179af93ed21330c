"""A graph task in the text files of the TU collection (Morris et al. 2020, "TUDataset")."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import check_regular, shortened_error
from eenas.errors import SpecError, TaskError, plural
from eenas.escaping import one_line
from eenas.tasks.graphs.graph_arrays import GraphArrays, incoming_edges
from eenas.tasks.graphs.labelled_graphs import graph_task
from eenas.tasks.graphs.node_sizes import sizes_of
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

EDGES, INDICATOR, LABELS = "_A.txt", "_graph_indicator.txt", "_graph_labels.txt"
TAGS, ATTRIBUTES = "_node_labels.txt", "_node_attributes.txt"
MOST_TAGS = 10_000
"""The largest number of different node labels, each of which becomes a feature."""


def tu_task(folder: Path, splits: SplitsSpec | None = None) -> Task:
    """Return the task in a folder with `NAME_A.txt`, `NAME_graph_indicator.txt` and `NAME_graph_labels.txt`.

    The features of a node are its attributes (`NAME_node_attributes.txt`), followed by its labels, one-hot
    (`NAME_node_labels.txt`). Without either file, they are its number of incoming edges. Classes are the graph labels
    in sorted order. Edges keep their direction; labels and attributes of edges are not read.

    Raises TaskError, with the name of the file, if one is missing or broken, or the files contradict each other.
    """
    found = sorted(file.name.removesuffix(INDICATOR) for file in folder.iterdir() if file.name.endswith(INDICATOR))
    if len(found) != 1:
        some = ", ".join(one_line(name) for name in found[:3]) or "none"
        raise TaskError(f"a folder of TU files has one NAME{INDICATOR}, got {some}; give the folder of one data set")
    name = found[0]
    files = {ending: folder / f"{name}{ending}" for ending in (EDGES, INDICATOR, LABELS, TAGS, ATTRIBUTES)}
    edges = _whole(files[EDGES], 2, may_be_empty=True).T - 1
    indicator = _whole(files[INDICATOR], 1)[:, 0] - 1
    nodes = len(indicator)
    try:
        sizes = sizes_of(indicator, nodes)
    except TaskError:
        raise TaskError(
            f"{one_line(files[INDICATOR].name)} must number the graphs from 1, in rising order and without gaps, one "
            "number for each node; sort the nodes by graph"
        ) from None
    if (wrong := np.flatnonzero(((edges < 0) | (edges >= nodes)).any(axis=0))).size:
        raise TaskError(
            f"{one_line(files[EDGES].name)} must name nodes 1 to {nodes}, got {(edges[:, wrong[0]] + 1).tolist()} in "
            f"edge {wrong[0] + 1}; number the nodes from 1"
        )
    parts: list[NDArray[Any]] = []
    if files[ATTRIBUTES].exists():
        parts.append(_of_nodes(_numbers(files[ATTRIBUTES], None), nodes, files[ATTRIBUTES]))
    if files[TAGS].exists():
        tags = _of_nodes(_whole(files[TAGS], None), nodes, files[TAGS])
        parts += [_one_hot(tags[:, column], files[TAGS]) for column in range(tags.shape[1])]
    if not parts:
        parts = [incoming_edges(edges, nodes)]
    graphs = GraphArrays(x=np.concatenate(parts, axis=1), edges=edges, sizes=sizes)
    labels = _whole(files[LABELS], 1)[:, 0]
    classes, numbers = np.unique(labels, return_inverse=True)
    return graph_task(name, graphs, numbers.astype(np.int64), classes=[str(each) for each in classes], splits=splits)


def _of_nodes(values: NDArray[Any], nodes: int, file: Path) -> NDArray[Any]:
    if len(values) != nodes:
        lines = f"{plural(len(values), 'line')}, but the graphs have {plural(nodes, 'node')}"
        raise TaskError(f"{one_line(file.name)} has {lines}; give each node a line")
    return values


def _one_hot(tags: NDArray[np.int64], file: Path) -> NDArray[np.float32]:
    known, numbers = np.unique(tags, return_inverse=True)
    if len(known) > MOST_TAGS:
        raise TaskError(f"{one_line(file.name)} may have at most {MOST_TAGS:,} different labels, got {len(known):,}")
    return np.eye(len(known), dtype=np.float32)[numbers.reshape(-1)]


def _whole(file: Path, columns: int | None, *, may_be_empty: bool = False) -> NDArray[np.int64]:
    """Return a file of whole numbers [lines, columns]."""
    numbers = _numbers(file, columns, may_be_empty=may_be_empty)
    if not (numbers == np.rint(numbers)).all():
        raise TaskError(f"{one_line(file.name)} must hold whole numbers, got {numbers[numbers != np.rint(numbers)][0]}")
    return numbers.astype(np.int64)


def _numbers(file: Path, columns: int | None, *, may_be_empty: bool = False) -> NDArray[np.float64]:
    """Return the numbers of a file, separated by commas, [lines, columns]."""
    shown = one_line(file.name)
    if not file.exists():
        raise TaskError(f"{shown} is missing; a data set of the TU collection has it")
    try:
        check_regular(file)
        lines = file.read_text(encoding="utf-8-sig").split("\n")
        rows = [[float(value) for value in line.split(",")] for line in lines if line.strip()]
        widths = {len(row) for row in rows}
    except SpecError as error:
        raise TaskError(str(error)) from None
    except (OSError, ValueError) as error:
        raise TaskError(f"{shown} must hold numbers separated by commas ({shortened_error(error)})") from None
    if not rows and may_be_empty:
        return np.empty((0, columns or 1))
    if not rows or len(widths) != 1 or columns not in (None, *widths):
        wanted = plural(columns, "number") if columns else "equally many numbers"
        raise TaskError(f"{shown} must have {wanted} in each line, got {sorted(widths)[:3] or 'no line'}")
    found = np.array(rows)
    if not np.isfinite(found).all() or np.abs(found).max() > 2**53:
        raise TaskError(f"{shown} must hold finite numbers up to 2^53; replace the others")
    return found

"""The task of node classification: one graph whose nodes have labels, divided into four splits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, nearest
from eenas.specs import digest
from eenas.tasks.arrays import check_class_names, check_labels
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.graph_values import GraphValues
from eenas.tasks.spec import SPLIT_NAMES, SplitsSpec
from eenas.tasks.splitting import divide

UNLABELLED = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeTask:
    """One graph, the class of each node, and the nodes of each split.

    `graph` holds features and edges, `labels` int64 [nodes] class numbers (UNLABELLED: -1, in no split) and `rows` the
    positions of the nodes of each split by name. All nodes send messages, whichever split they are in (transductive
    learning), but only the labels of the train split fit weights. `digest` covers all of it.
    """

    name: str
    classes: tuple[str, ...]
    graph: GraphArrays
    labels: NDArray[np.int64]
    rows: dict[str, NDArray[np.int64]]
    digest: str

    @classmethod
    def of(
        cls,
        name: str,
        x: Any,
        edge_index: Any,
        y: Any,
        *,
        masks: dict[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        splits: SplitsSpec | None = None,
    ) -> Self:
        """Return the task of one graph with features `x` [nodes, F], `edge_index` [2, E] and labels `y` [nodes].

        A label of -1 means unknown. `masks` may mark the nodes of "train", "val" and "test" (booleans [nodes]);
        "val" is then divided into calibration (40 %) and validation. Without masks, the labelled nodes are divided by
        `splits`, stratified by class.

        Raises TaskError for arrays that do not fit together, masks that overlap, and splits that do not fit.
        """
        graph = GraphArrays.joined([(x, edge_index)], ["the graph"])
        nodes = len(graph.x)
        given = np.asarray(y)
        if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) != nodes:
            got = f"{given.dtype} of shape {list(given.shape)}"
            fix = "use y.ravel()" if given.size == nodes and given.dtype.kind in "iu" else "number the classes from 0"
            if given.dtype.kind in "USO":
                fix = "classes, y = numpy.unique(y, return_inverse=True) numbers them"
            raise TaskError(f"y must be {nodes} class numbers, one for each node (-1: unknown), got {got}; {fix}")
        given = given.astype(np.int64)
        known = np.flatnonzero(given != UNLABELLED)
        names = None if classes is None else check_class_names(classes)
        numbers = check_labels(given[known], "y", names)
        if names is None:
            names = tuple(str(number) for number in range(int(numbers.max(initial=-1)) + 1))
        if len(names) < 2:
            raise TaskError(f"{name}: a task needs at least two classes, got {len(names)}; give labels that differ")
        rows = _by_masks(masks, given, names, splits) if masks else _by_splits(known, given, names, splits)
        facts = [GraphValues(graph).digest, given.tolist(), list(names), {key: rows[key].tolist() for key in rows}]
        return cls(name=name, classes=names, graph=graph, labels=given, rows=rows, digest=digest(facts))

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def split(self, name: str) -> NDArray[np.int64]:
        """Return the nodes of a split. Raises TaskError for an unknown name."""
        if name not in self.rows:
            raise TaskError(f"{name!r} is not a split; {nearest(name, self.rows)}")
        return self.rows[name]

    def named(self, name: str) -> Self:
        """Return the same task under another name."""
        return replace(self, name=name)


def check_node_task(task: object) -> None:
    """Raise TaskError for anything but a task of nodes."""
    if not isinstance(task, NodeTask):
        raise TaskError(f"a task of nodes is a NodeTask, such as NodeTask.of(...) returns, got {type(task).__name__}")


def _by_splits(
    known: NDArray[np.int64], labels: NDArray[np.int64], names: tuple[str, ...], splits: SplitsSpec | None
) -> dict[str, NDArray[np.int64]]:
    splits = splits or SplitsSpec()
    wanted = {str(each): spec for each, spec in splits.with_defaults(test_source=False).items()}
    parts = divide(labels[known], names, wanted, source="train", seed=splits.seed)
    return {split: known[parts[split]] for split in SPLIT_NAMES}


def _by_masks(
    masks: dict[str, Any], labels: NDArray[np.int64], names: tuple[str, ...], splits: SplitsSpec | None
) -> dict[str, NDArray[np.int64]]:
    if splits is not None and splits != SplitsSpec(seed=splits.seed):
        raise TaskError("the graph has masks, which set its splits; leave splits or the masks out")
    if missing := {"train", "val", "test"} - set(masks):
        raise TaskError(f"masks are train, val and test, but {sorted(missing)[0]} is missing; add it or leave all out")
    marked: dict[str, NDArray[np.bool_]] = {}
    for name in ("train", "val", "test"):
        mask = np.asarray(masks[name])
        if mask.shape != labels.shape or mask.dtype.kind != "b":
            raise TaskError(
                f"{name}_mask must be {len(labels)} booleans, one for each node, got {mask.dtype} of shape "
                f"{list(mask.shape)}; choose one column if it holds several splits"
            )
        marked[name] = mask & (labels != UNLABELLED)
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if (both := np.flatnonzero(marked[one] & marked[other])).size:
            raise TaskError(f"masks must not overlap, but node {both[0]} is in {one} and {other}; leave it in one")
    splits = splits or SplitsSpec()
    wanted = {str(each): spec for each, spec in splits.with_defaults(test_source=True, validation_source=True).items()}
    rows: dict[str, NDArray[np.int64]] = {}
    for mask_name, source in (("train", "train"), ("val", "validation"), ("test", "test")):
        here = {each: spec for each, spec in wanted.items() if spec.source == source}
        places = np.flatnonzero(marked[mask_name])
        parts = divide(labels[places], names, here, source=f"{mask_name}_mask", seed=splits.seed)
        rows |= {each: places[part] for each, part in parts.items()}
    return {name: rows[name] for name in SPLIT_NAMES}

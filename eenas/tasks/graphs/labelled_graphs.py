"""Tasks of graph classification from arrays of graphs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError, plural
from eenas.tasks.arrays import check_class_names, check_labels
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.graph_values import GraphValues, slots_for
from eenas.tasks.spec import SourceName, SplitsSpec
from eenas.tasks.task import Source, Task, assemble


def graph_task(
    name: str,
    graphs: GraphArrays,
    labels: Any,
    *,
    test: NDArray[np.bool_] | None = None,
    classes: Sequence[str] | None = None,
    splits: SplitsSpec | None = None,
) -> Task:
    """Return the task of graphs with class numbers `labels` [G].

    `test` [G] marks the graphs of the test source; without it, all splits come from one source. `classes` defaults to
    "0", "1", and so on.

    Raises TaskError if the labels do not match the graphs, or the splits do not fit.
    """
    names = None if classes is None else check_class_names(classes)
    numbers = check_labels(labels, "y", names)
    if len(numbers) != len(graphs):
        raise TaskError(
            f"y has {plural(len(numbers), 'label')} for {plural(len(graphs), 'graph')}; give each graph one label"
        )
    if names is None:
        names = tuple(str(number) for number in range(int(numbers.max()) + 1))
    slots, reference = slots_for(graphs), int(np.ceil(graphs.sizes.mean()))
    marks: dict[SourceName, NDArray[np.bool_]] = {"train": np.ones(len(graphs), dtype=np.bool_)}
    if test is not None:
        marked = np.asarray(test)
        if marked.shape != (len(graphs),) or marked.dtype.kind != "b":
            raise TaskError(
                f"test_mask must be {len(graphs)} booleans, one for each graph, got {marked.dtype} of shape "
                f"{list(marked.shape)}"
            )
        if marked.all() or not marked.any():
            raise TaskError(f"test_mask must mark some graphs and leave others, got {marked.sum()} of {len(marked)}")
        marks = {"train": ~marked, "test": marked}
    sources: dict[SourceName, Source] = {}
    for source, mark in marks.items():
        rows = np.flatnonzero(mark)
        part = graphs if len(rows) == len(graphs) else graphs.take(rows)
        sources[source] = (GraphValues(part, source, slots, reference), numbers[rows])
    return assemble(name, names, sources, splits or SplitsSpec(), flip=None)

"""Small graphs of three forms, the embedded task of graph classification."""

import numpy as np
from numpy.typing import NDArray

from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.labelled_graphs import graph_task
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

GRAPHS, SMALLEST, LARGEST = 900, 6, 14
FORMS = ("ring", "two rings", "tree")
_SEED = 20240317
_AGREE = (128, 96, 64, 32)
"""Of 128 draws, how many give a node the tag of its form, for each quarter of the graphs."""


def rings_task(splits: SplitsSpec | None = None) -> Task:
    """Return 900 small graphs in three classes, the same on every machine.

    The class is the form: one ring, two rings joined by an edge, or a tree. Nodes carry a one-hot tag that hints at the
    form, in some graphs strongly and in others hardly, and a constant. So some graphs are classified from their tags,
    and the others from their edges, which takes more layers.

    Raises TaskError if the splits do not fit.
    """
    graphs, labels = rings(GRAPHS)
    return graph_task("rings", graphs, labels, classes=FORMS, splits=splits)


def rings(count: int) -> tuple[GraphArrays, NDArray[np.int64]]:
    """Return graphs and their classes [count]. All random numbers come from an integer generator."""
    generator = np.random.Generator(np.random.PCG64(_SEED))
    labels = np.arange(count, dtype=np.int64) % len(FORMS)
    pairs = []
    for number, label in enumerate(labels.tolist()):
        nodes = int(generator.integers(SMALLEST, LARGEST + 1))
        edges = _edges(label, nodes, generator)
        agrees = generator.integers(0, 128, size=nodes) < _AGREE[(number // len(FORMS)) % len(_AGREE)]
        tags = np.where(agrees, label, generator.integers(0, len(FORMS), size=nodes))
        x = np.concatenate([np.eye(len(FORMS))[tags], np.ones((nodes, 1))], axis=1).astype(np.float32)
        order = generator.permutation(nodes)
        pairs.append((x[np.argsort(order)], order[edges]))
    return GraphArrays.joined(pairs), labels


def _edges(label: int, nodes: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the edges [2, E] of a form, in both directions."""
    places = np.arange(nodes)
    if label == 0:
        one = np.stack([places, (places + 1) % nodes])
    elif label == 1:
        half = nodes // 2
        first = np.stack([places[:half], (places[:half] + 1) % half])
        second = np.stack([places[half:], half + (places[half:] - half + 1) % (nodes - half)])
        one = np.concatenate([first, second, [[0], [half]]], axis=1)
    else:
        parents = [int(generator.integers(0, node)) for node in range(1, nodes)]
        one = np.stack([np.array(parents), places[1:]])
    return np.concatenate([one, one[::-1]], axis=1)

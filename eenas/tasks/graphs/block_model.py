"""A generated node task: the stochastic block model (Holland, Laskey and Leinhardt 1983) with noisy features."""

import numpy as np

from eenas.errors import TaskError
from eenas.tasks.graphs.graph_arrays import MOST_NODES
from eenas.tasks.graphs.labelled_nodes import NodeTask
from eenas.tasks.spec import SplitsSpec


def block_model_task(
    *,
    nodes: int = 1200,
    classes: int = 4,
    degree: float = 8.0,
    within: float = 0.8,
    noise: float = 2.0,
    seed: int = 0,
    splits: SplitsSpec | None = None,
) -> NodeTask:
    """Return a graph of equal blocks, whose nodes are classified by their block.

    A node has `degree` neighbours on average, of which the share `within` lies in its own block. Its features are the
    one-hot class with normal noise of standard deviation `noise`, so that one node alone says little and its
    neighbourhood much; the noise of a node is multiplied by a factor between 0.25 and 1.75, so that nodes differ in
    difficulty. Edges are undirected, without self-loops and repetitions; isolated nodes may occur.

    Raises TaskError for values out of range, and for splits that do not fit.
    """
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (nodes, classes, seed))
    numbers = all(type(value) in (int, float) for value in (degree, within, noise))
    fits = whole and numbers and MOST_NODES >= nodes >= 4 * classes >= 8 and seed >= 0
    if not (fits and 0 <= within <= 1 and 0 < degree < nodes and 0 <= noise < 1e6):
        raise TaskError(
            f"a block model has at least two classes with four nodes each and at most {MOST_NODES:,} nodes, a degree "
            "above 0 and below the number of nodes, a share within in [0, 1], noise in [0, 1e6) and a seed from 0 up, "
            f"got {classes}, {nodes}, {degree}, {within}, {noise} and {seed}"
        )
    generator = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(nodes, dtype=np.int64) % classes
    wanted = round(nodes * degree / 2)
    inside = generator.random(2 * wanted) < within
    one = generator.integers(0, nodes, size=2 * wanted)
    block = np.where(inside, labels[one], (labels[one] + generator.integers(1, classes, size=2 * wanted)) % classes)
    members = -(-(nodes - block) // classes)  # of the block: its nodes are block, block + classes, and so on
    other = block + classes * (generator.random(2 * wanted) * members).astype(np.int64)
    low, high = np.minimum(one, other), np.maximum(one, other)
    codes = np.unique((low * nodes + high)[low != high])
    codes = generator.permutation(codes)[:wanted]
    pairs = np.stack([codes // nodes, codes % nodes])
    spread = noise * (0.25 + 1.5 * generator.random((nodes, 1)))
    x = (np.eye(classes)[labels] + spread * generator.standard_normal((nodes, classes))).astype(np.float32)
    edges = np.concatenate([pairs, pairs[::-1]], axis=1)
    return NodeTask.of("block_model", x, edges, labels, splits=splits)

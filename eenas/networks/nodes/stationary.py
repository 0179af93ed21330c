"""The stationary state of propagation, and a rule that lets a node leave when it is near (NAP, NAI)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.backbones.graphs.message_layers import added, incoming
from eenas.errors import InputError


@dataclass(frozen=True, eq=False)
class DistanceRule:
    """A node leaves at the first exit before the final one where its features are nearer than `limit` to `stationary`.

    `stationary` [n, width] is what infinitely many hops would give (`stationary_state`). Smooth nodes, such as hubs,
    leave early (Gao et al. 2022, "Efficient graph neural network inference at large scale"; there called NAP). Only a
    network of the kind "sgc" has this state. The limit is in the units of the features.
    """

    limit: float
    stationary: Tensor
    exits: int

    def start(self, nodes: int) -> NDArray[np.int64]:
        """Return the state: the class of each node at the last exit, at first -1."""
        return np.full(nodes, -1, dtype=np.int64)

    def decide(self, k: int, logits: NDArray[Any], h: Tensor, nodes: Tensor, state: Any) -> tuple[NDArray[Any], Any]:
        """Return which nodes leave at exit k, and their classes there."""
        answers = np.asarray(logits.argmax(axis=1), dtype=np.int64)
        if k == self.exits - 1:
            return np.ones(len(answers), dtype=np.bool_), answers
        return (distances(h, self.stationary[nodes]) < self.limit).cpu().numpy(), answers

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes of nodes that leave."""
        return state


def distances(h: Tensor, stationary: Tensor) -> Tensor:
    """Return the distance of the features of each node from its stationary state, [n]."""
    found: Tensor = torch.linalg.vector_norm(h - stationary, dim=1)
    return found


def stationary_state(h: Tensor, edges: Tensor) -> Tensor:
    """Return the limit of `PropagationLayer` applied to the features [n, D] again and again, in closed form.

    Within a connected component, node i converges to sqrt(d_i + 1) / sum_j (d_j + 1) times sum_j sqrt(d_j + 1) h_j.

    Raises InputError for a graph with an edge in one direction only, for which this does not hold.
    """
    if not in_both_directions(edges, len(h)):
        raise InputError("the stationary state needs edges in both directions; add the reverse of each edge")
    component = _components(edges, len(h))
    weight = incoming(edges, len(h), h.dtype) + 1
    root = weight.sqrt()[:, None]
    sums, weights = added(root * h, component, len(h)), added(weight, component, len(h))
    found: Tensor = root * sums[component] / weights[component][:, None]
    return found


def in_both_directions(edges: Tensor, nodes: int) -> bool:
    """Whether each edge [2, E] comes with its reverse, as often as it is there itself."""
    codes, turned = edges[0] * nodes + edges[1], edges[1] * nodes + edges[0]
    return torch.equal(codes.sort().values, turned.sort().values)


def _components(edges: Tensor, nodes: int) -> Tensor:
    """Return the smallest node of each node's connected component, [n]."""
    labels = torch.arange(nodes, device=edges.device)
    while True:
        found = labels.scatter_reduce(0, edges[1], labels[edges[0]], reduce="amin")
        found = found[found]  # each also takes the label of its label, so that paths halve
        if torch.equal(found, labels):
            return labels
        labels = found

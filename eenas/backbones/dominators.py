"""The dominators of an autograd graph: tensors on every path from an output to the graph's leaf."""

from collections import defaultdict
from typing import NamedTuple

from torch import Tensor
from torch.autograd.graph import Node


class Place(NamedTuple):
    """A tensor's place in the autograd graph: the function that computed it, and the index among its outputs."""

    node: Node
    output: int


def place_of(tensor: Tensor) -> Place:
    """Return the place of a tensor in its graph. Raises ValueError for a leaf, which has none."""
    if tensor.grad_fn is None:
        raise ValueError("a tensor without grad_fn has no place in a graph")
    return Place(tensor.grad_fn, tensor.output_nr)


def dominators(end: Place) -> list[Place]:
    """Return the places on every path from the graph's leaves to `end`, in computation order, `end` included.

    The graph is swept once from its end; each function comes after all its users. If all edges between the swept and
    the unswept part lead to one output of one function, every path passes that output. With several leaves, the
    result is the common dominators of all of them.
    """
    edges: dict[Node, list[int]] = defaultdict(list)
    edges[end.node].append(end.output)
    crossing = 1
    found = []
    for node in _users_first(end.node):
        outputs = edges[node]
        if len(outputs) == crossing and len(set(outputs)) == 1:
            found.append(Place(node, outputs[0]))
        crossing -= len(outputs)
        for following, output in node.next_functions:
            if following is not None:
                edges[following].append(output)
                crossing += 1
    return found[::-1]


def _users_first(end: Node) -> list[Node]:
    """Return `end` and the functions that it depends on, users first; iterative, since networks are deep."""
    finished: list[Node] = []
    seen = {end}
    path = [(end, iter(end.next_functions))]
    while path:
        node, rest = path[-1]
        for following, _ in rest:
            if following is not None and following not in seen:
                seen.add(following)
                path.append((following, iter(following.next_functions)))
                break
        else:
            finished.append(node)
            path.pop()
    return finished[::-1]

"""The dominators of an autograd graph: tensors that lie on every path from an output to the graph's leaf."""

from collections import defaultdict
from typing import NamedTuple

from torch import Tensor
from torch.autograd.graph import Node


class Place(NamedTuple):
    """A tensor's place in the autograd graph: the function that made it, and which of its outputs it is."""

    node: Node
    output: int


def place_of(tensor: Tensor) -> Place:
    """The place of a tensor that an operation made. Raises ValueError for a leaf, which has none."""
    if tensor.grad_fn is None:
        raise ValueError("a tensor without grad_fn has no place in a graph")
    return Place(tensor.grad_fn, tensor.output_nr)


def dominators(end: Place) -> list[Place]:
    """The places on every path from the graph's leaves to `end`, in the order of computation, `end` included.

    The graph is swept once from its end, each function after all that use it. Where the only edges that lead from what
    was swept to what was not are those to one function, by one of its outputs, every path goes through that output.
    Exact where a single leaf takes part in the graph (of several leaves it gives what dominates them all).
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
    """The functions behind `end` in a topological order, without recursion (networks are deep)."""
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

"""Dominators against the obvious way: take a node away and look whether the leaf can still be reached."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eenas.backbones.dominators import Place, dominators, place_of

Graph = list[list[int]]  # what each node is the sum of; node 0 is the root


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(2, 9))
    inputs = [draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=3)) for node in range(1, size)]
    return [[], *inputs]


def reaches(graph: Graph, start: int, without: int) -> bool:
    """Whether a path of nodes other than `without` leads from `start` to node 0."""
    if start == without:
        return False
    return start == 0 or any(reaches(graph, node, without) for node in graph[start])


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_against_removal(graph: Graph) -> None:
    leaf = torch.ones(1, requires_grad=True)
    tensors = [leaf.clone()]
    for inputs in graph[1:]:
        total = tensors[inputs[0]] * 2
        for node in inputs[1:]:
            total = total + tensors[node]
        tensors.append(total.sin())
    end = len(graph) - 1
    found = dominators(place_of(tensors[end]))
    expected = [node for node in range(len(graph)) if not reaches(graph, end, node)]
    assert [node for place in found for node in range(len(graph)) if place_of(tensors[node]) == place] == expected


def test_one_output_of_several() -> None:
    x = torch.randn(2, 4, requires_grad=True).clone()
    first, second = x.chunk(2, dim=1)

    def through(tensor: Tensor, end: Tensor) -> bool:
        return place_of(tensor) in dominators(place_of(end))

    assert through(first, first.exp())
    assert not through(second, first.exp())
    both = first * second
    assert not through(first, both)
    assert not through(second, both)
    assert through(x, both)


def test_deep_graphs_need_no_recursion() -> None:
    x = torch.ones(1, requires_grad=True)
    y = x.clone()
    for _ in range(3000):
        y = y + 1
    found = dominators(place_of(y))
    assert len(found) == 3002  # the leaf's own node and the copy too
    assert isinstance(found[0], Place)

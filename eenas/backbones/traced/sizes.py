"""The symbolic sizes in an exported graph that follow from the tensors where a segment starts."""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx


class Sizes:
    """The symbolic sizes of a graph that follow from the shapes of the tensors where a segment starts."""

    def __init__(self, *starts: fx.Node) -> None:
        self.starts = starts
        self._places = {
            size.node.expr: (start, axis)
            for start in reversed(starts)
            for axis, size in reversed(list(enumerate(start.meta["val"].shape)))
            if isinstance(size, torch.SymInt) and size.node.expr.is_Symbol
        }

    def known(self, node: fx.Node) -> bool:
        """Whether the node is a size that is a sum of products of whole numbers and sizes of the starts."""
        value = node.meta.get("val")
        return isinstance(value, torch.SymInt) and self._is_known(value.node.expr)

    def write(self, node: fx.Node, graph: fx.Graph, made: Mapping[fx.Node, fx.Node]) -> Any:
        """Append the computation of a known size to `graph`. `made` maps the starts to their placeholders there."""
        return self._written(node.meta["val"].node.expr, graph, made)

    def _is_known(self, size: Any) -> bool:
        if size.is_Integer or size in self._places:
            return True
        return (size.is_Add or size.is_Mul) and all(self._is_known(part) for part in size.args)

    def _written(self, size: Any, graph: fx.Graph, made: Mapping[fx.Node, fx.Node]) -> Any:
        if size.is_Integer:
            return int(size)
        if size in self._places:
            start, axis = self._places[size]
            return graph.call_function(torch.ops.aten.sym_size.int, (made[start], axis))
        parts = [self._written(part, graph, made) for part in size.args]
        operation = operator.add if size.is_Add else operator.mul
        return functools.reduce(lambda one, other: graph.call_function(operation, (one, other)), parts)

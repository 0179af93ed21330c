"""The single file: the ONNX models of the segments nested in `If` nodes as one model that stops by itself.

Importing this module requires onnx.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from eenas.bounds import shortened_error
from eenas.errors import ExportError
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.programs.segments import ANSWERS, INPUTS, OUTPUTS, THRESHOLDS

_KINDS = (onnx.TensorProto.INT64, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT)
"""The types of ANSWERS."""

NO_CLASS = -1
"""The class of an input that is not finite or whose numbers overflow in the network."""

_FINITE = "image/finite"
"""The name of the graph's bool [1] that says whether the input is finite."""


def single_file(models: list[Any], policy: ThresholdPolicy) -> Any:
    """Return one ONNX model (`onnx.ModelProto`) of the segments' models, given in order. Its batch size is 1.

    Inputs: `x` [1, ...] as the first segment takes it (images: float32 [1, C, H, W]) and, with a default, `thresholds`
    float32 [K - 1]; at infinity no sample leaves.
    Outputs: `classes` int64 [1], `exits` int64 [1] and `logits` float32 [1, num_classes] of that exit. Scores are
    computed in float64, as everywhere in eenas.

    A model cannot raise InputError. An input that is not finite has the score 0 at every exit, so it never leaves by
    its confidence; its class is NO_CLASS and its logits are NaN. The same holds for logits that are not finite. The
    graph tests the input itself, too, because libraries treat NaN differently: some max poolings return finite numbers.

    Raises ExportError if the model is too large for one file.
    """
    first, last = models[0].graph, models[-1].graph
    graph = _Nested(models, policy).graph(0, "eenas")
    given = first.input[0].type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in given.shape.dim]
    graph.input.append(helper.make_tensor_value_info(INPUTS[0], given.elem_type, [1, *shape[1:]]))
    if branches := policy.num_exits - 1:
        defaults = np.array(policy.limits(), dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(defaults, THRESHOLDS))
        graph.input.append(helper.make_tensor_value_info(THRESHOLDS, onnx.TensorProto.FLOAT, [branches]))
    del graph.output[:]
    classes = last.output[-1].type.tensor_type.shape.dim[1].dim_value
    for name, kind, dims in zip(ANSWERS, _KINDS, ([1], [1], [1, classes]), strict=True):
        graph.output.append(helper.make_tensor_value_info(name, kind, dims))
    model = helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=models[0].ir_version)
    try:
        onnx.checker.check_model(model)
    except ValueError as error:  # protobuf's limit of 2 GiB
        raise ExportError(f"the single file is too large ({shortened_error(error)}); leave --single-file out") from None
    return model


class _Nested:
    """Builds the graph of a segment with the graphs of all later segments nested inside."""

    def __init__(self, models: list[Any], policy: ThresholdPolicy) -> None:
        self.models, self.policy = models, policy

    def graph(self, k: int, name: str) -> Any:
        """Return the graph from segment k on, with the uniquely named outputs `classes`, `exits` and `logits`."""
        part = self._renamed(k)
        nodes, outputs = list(part.node), [f"{k}/{answer}" for answer in ANSWERS]
        if k == 0:
            outputs = list(ANSWERS)
            write = _Writer("image/")
            write.finite(write("Cast", INPUTS[0], to=onnx.TensorProto.DOUBLE), named="finite")
            nodes = write.nodes + nodes
        logits = f"s{k}/{OUTPUTS[1]}"
        write = _Writer(f"{k}/given/")
        z = write("Cast", logits, to=onnx.TensorProto.DOUBLE, named="logits")
        write("And", _FINITE, write.finite(z), named="finite")
        nodes += write.nodes
        if k == len(self.models) - 1:
            nodes += self._answer(k, logits, outputs)
        else:
            nodes += self._score(k)
            then = helper.make_graph(
                self._answer(k, logits, [f"{k}/left/{answer}" for answer in ANSWERS]),
                f"leave at exit {k}",
                [],
                self._outputs([f"{k}/left/{answer}" for answer in ANSWERS]),
            )
            nodes.append(
                helper.make_node(
                    "If",
                    [f"{k}/leave"],
                    outputs,
                    name=f"exit {k}",
                    then_branch=then,
                    else_branch=self.graph(k + 1, f"segment {k + 1}"),
                )
            )
        return helper.make_graph(nodes, name, [], self._outputs(outputs), initializer=list(part.initializer))

    def _renamed(self, k: int) -> Any:
        """Return segment k's graph with unique names, connected to the outputs of the previous segment."""
        graph = onnx.compose.add_prefix(self.models[k], f"s{k}/").graph
        given = {INPUTS[0]: INPUTS[0] if k == 0 else f"s{k - 1}/{OUTPUTS[0]}", INPUTS[1]: f"s{k - 1}/{OUTPUTS[1]}"}
        for value in reversed(graph.input):
            graph.node.insert(0, helper.make_node("Identity", [given[value.name.partition("/")[2]]], [value.name]))
        return graph

    def _outputs(self, names: list[str]) -> list[Any]:

        return [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, _KINDS, strict=True)]

    def _answer(self, k: int, logits: str, names: list[str]) -> list[Any]:
        """Return the nodes for the class, exit and logits of a sample that leaves at exit k."""
        classes, exits, given = names
        write = _Writer(f"{names[0]}/")
        largest = write("ArgMax", logits, axis=1, keepdims=0)
        exit_ = numpy_helper.from_array(np.array([k], dtype=np.int64))
        return [
            *write.nodes,
            *self._where_finite(k, classes, largest, np.array([NO_CLASS], dtype=np.int64)),
            helper.make_node("Constant", [], [exits], value=exit_),
            *self._where_finite(k, given, logits, np.array([math.nan], dtype=np.float32)),
        ]

    def _where_finite(self, k: int, name: str, value: str, otherwise: NDArray[Any]) -> list[Any]:
        """Return nodes that set `name` to the value if the input and the logits of exit k are finite."""
        constant = f"{name}/otherwise"
        return [
            helper.make_node("Constant", [], [constant], value=numpy_helper.from_array(otherwise)),
            helper.make_node("Where", [f"{k}/given/finite", value, constant], [name]),
        ]

    def _score(self, k: int) -> list[Any]:
        """Return nodes for the score of exit k (`eenas.policies.scores`) and for `k/leave`: score >= threshold."""
        write = _Writer(f"{k}/")
        z = f"{k}/given/logits"
        centred = write("Sub", z, write("ReduceMax", z, write.ints([1])))
        below = write("Div", centred, write.number(self.policy.temperatures[k]))
        weight = write("Exp", below)
        total = write("ReduceSum", weight, write.ints([1]))
        one = write.number(1.0)
        if self.policy.score == "max_softmax":
            score = write("Div", one, total)
        elif self.policy.score == "entropy":
            mean = write("Div", write("ReduceSum", write("Mul", weight, below), write.ints([1])), total)
            nats = write("Sub", write("Log", total), mean)
            score = write("Sub", one, write("Div", nats, write.number(math.log(self._classes))))
        else:
            second = write("Slice", write.largest(below, 2), write.ints([1]), write.ints([2]), write.ints([1]))
            score = write("Div", write("Sub", one, write("Exp", second)), total)
        score = write("Max", write("Min", score, one), write.number(0.0))
        # without finite inputs and logits, no sample leaves early by its confidence
        score = write("Where", f"{k}/given/finite", write("Reshape", score, write.ints([1])), write.number(0.0))
        threshold = write(
            "Cast", write("Slice", THRESHOLDS, write.ints([k]), write.ints([k + 1])), to=onnx.TensorProto.DOUBLE
        )
        write("GreaterOrEqual", score, threshold, named="leave")
        return write.nodes

    @property
    def _classes(self) -> int:
        classes: int = self.models[-1].graph.output[-1].type.tensor_type.shape.dim[1].dim_value
        return classes


class _Writer:
    """Creates nodes with uniquely named outputs: `write("Add", a, b)` returns the name of the sum."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[Any] = []
        self._prefix = prefix

    def __call__(self, kind: str, *inputs: str, named: str = "", outputs: int = 1, **attributes: Any) -> str:

        name = self._prefix + (named or f"{kind}{len(self.nodes)}")
        names = [name, *(f"{name}/{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return name

    def finite(self, values: str, *, named: str = "") -> str:
        """Add a bool [1] for whether all values are finite. Float64 sums of float32 values cannot overflow."""
        total = self("Reshape", self("ReduceSum", values, keepdims=0), self.ints([1]))
        return self("Not", self("Or", self("IsNaN", total), self("IsInf", total)), named=named)

    def number(self, value: float) -> str:
        """Add a float64 constant, [1]."""
        return self._constant(np.array([value], dtype=np.float64))

    def ints(self, values: list[int]) -> str:
        """Add an integer constant."""
        return self._constant(np.array(values, dtype=np.int64))

    def largest(self, values: str, count: int) -> str:
        """Add the `count` largest values of each row, in decreasing order."""
        return self("TopK", values, self.ints([count]), outputs=2, axis=1)

    def _constant(self, array: NDArray[Any]) -> str:

        return self("Constant", value=numpy_helper.from_array(array))

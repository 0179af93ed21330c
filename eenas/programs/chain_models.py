"""The segments of a chain as ONNX models, each exported once and joined on demand."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.chain import Chain, plain_inference
from eenas.backbones.exported import export_program
from eenas.designs.design import exit_names
from eenas.programs.exit_segment import ExitSegment, SegmentProgram
from eenas.programs.onnx_program import leave_layout, onnx_model
from eenas.programs.segments import INPUTS, OUTPUTS


class ChainModels:
    """The ONNX models of the segments of a chain on the CPU, for inputs like `example` [2, ...].

    Every model has the input `x` and the output `logits`, even where the output is a feature. It is exported when it is
    first asked for. `names` are the cut points of the chain. Raises CutError and ExportError if it cannot be.
    """

    def __init__(self, chain: Chain, example: Tensor) -> None:
        self._chain, self._names = chain, ("", *exit_names(chain.names))
        self.names = chain.names
        self._inputs, x = [example], example
        with plain_inference(chain), torch.no_grad():
            for segment in list(chain.segments)[:-1]:
                x = segment(x)
                self._inputs.append(x)
        self._models: dict[tuple[int, int], Any] = {}

    def __len__(self) -> int:
        return len(self._chain.segments)

    def part(self, start: int, end: int) -> list[Any]:
        """Return models that run as an export without exits from segment `start` up to `end` does; see `Chain.part`."""
        if self._chain.joins(start, end):
            return [self._model(start, end)]
        return [self._model(k, k + 1) for k in range(start, end)]

    def _model(self, start: int, end: int) -> Any:
        if (start, end) not in self._models:
            module = self._chain.segments[start] if end == start + 1 else self._chain.part(start, end)
            self._models[start, end] = export_module(
                module, self._inputs[start], exit_=self._names[end], before=self._names[start]
            )
        return self._models[start, end]


def export_module(module: nn.Module, example: Tensor, *, exit_: str, before: str = "") -> Any:
    """Return the ONNX model of one module, for any batch size. Messages locate it by `exit_` and `before`."""
    with plain_inference(module), torch.no_grad():
        taken = ExitSegment(module, None, last=True, takes_previous=False, boosted=False).eval()
        program = export_program(taken, (example,), f"the segment at {exit_!r}", (taken.varying,))
        return onnx_model(SegmentProgram(program, taken, (example,), exit_, before))


def join_models(models: Sequence[Any]) -> Any:
    """Return one ONNX model of consecutive models. Each takes the output of the previous one in the layout it has."""
    import onnx

    if len(models) == 1:
        return models[0]
    whole = onnx.ModelProto()
    whole.CopyFrom(models[0])
    graph = whole.graph
    del graph.node[:], graph.initializer[:], graph.output[:]
    for number, model in enumerate(models):
        part = onnx.compose.add_prefix(model, f"s{number}/").graph
        given = INPUTS[0] if number == 0 else f"s{number - 1}/{OUTPUTS[1]}"
        graph.node.append(onnx.helper.make_node("Identity", [given], [part.input[0].name]))
        if number > 0:
            leave_layout(part)  # features inside a program already have this layout
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    graph.node.append(onnx.helper.make_node("Identity", [f"s{len(models) - 1}/{OUTPUTS[1]}"], [OUTPUTS[1]]))
    graph.output.append(models[-1].graph.output[0])
    return whole

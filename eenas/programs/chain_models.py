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


def chain_models(chain: Chain, example: Tensor) -> list[Any]:
    """Return the ONNX models of the segments of a chain, in order, for inputs like `example` [2, ...].

    The chain is on the CPU. Every model has the input `x` and the output `logits`, even where the output is a feature.
    Raises CutError and ExportError if a segment cannot be exported.
    """
    models, x, before = [], example, ""
    with plain_inference(chain), torch.no_grad():
        for name, segment in zip(exit_names(chain.names), chain.segments, strict=True):
            models.append(export_module(segment, x, exit_=name, before=before))
            x, before = segment(x), name
    return models


class ChainModels:
    """The ONNX models of a chain on the CPU, for inputs like `example` [2, ...]; see `chain_models` for errors."""

    def __init__(self, chain: Chain, example: Tensor) -> None:
        self._chain, self._example = chain, example
        self._models = chain_models(chain, example)

    def __len__(self) -> int:
        return len(self._models)

    def part(self, start: int, end: int) -> list[Any]:
        """Return models that run as an export without exits from segment `start` up to `end` does; see `Chain.part`."""
        if not self._chain.joins(start, end):
            return list(self._models[start:end])
        names = ("", *exit_names(self._chain.names))
        with torch.no_grad():
            x = self._chain.part(0, start)(self._example) if start else self._example
        return [export_module(self._chain.part(start, end), x, exit_=names[end], before=names[start])]


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

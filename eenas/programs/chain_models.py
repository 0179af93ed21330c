"""The segments of a chain as ONNX models, exported one by one and joined to longer ones without exporting again."""

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
    """One ONNX model for each segment of a chain on the CPU, for inputs like `example` [2, ...], in order.

    Input `x`, output `logits`, whatever it is. Raises CutError and ExportError for what cannot be exported.
    """
    models, x, before = [], example, ""
    with plain_inference(chain), torch.no_grad():
        for name, segment in zip(exit_names(chain.names), chain.segments, strict=True):
            models.append(module_model(segment, x, exit_=name, before=before))
            x, before = segment(x), name
    return models


def module_model(module: nn.Module, example: Tensor, *, exit_: str, before: str = "") -> Any:
    """The ONNX model of one module, for any batch; `exit_` and `before` say where it lies, for messages."""
    with plain_inference(module), torch.no_grad():
        taken = ExitSegment(module, None, last=True, takes_previous=False, boosted=False).eval()
        program = export_program(taken, (example,), f"the segment at {exit_!r}")
        return onnx_model(SegmentProgram(program, taken, (example,), exit_, before))


def joined(models: Sequence[Any]) -> Any:
    """One ONNX model of several in a row: each takes what the one before gives, in the layout that it gives it in."""
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
            leave_layout(part)  # inside a program features have it already
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    graph.node.append(onnx.helper.make_node("Identity", [f"s{len(models) - 1}/{OUTPUTS[1]}"], [OUTPUTS[1]]))
    graph.output.append(models[-1].graph.output[0])
    return whole

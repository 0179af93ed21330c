"""A segment's program as an ONNX model: batch normalisation folded, any batch, nothing of this machine in it."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from eenas.backbones.cut_points import first_line
from eenas.errors import ExportError
from eenas.programs.exit_segment import SegmentProgram
from eenas.programs.segments import INPUTS, OUTPUTS

OPSET = 18
"""The version of ONNX's operators: old enough for every onnxruntime since 1.14."""

BATCH = "batch"

_BLOCK = 16
"""The most channels that a block of onnxruntime's own layout has."""
_BLOCKED = "_blocked"
"""What ends the name of features in that layout."""


def onnx_model(segment: SegmentProgram) -> Any:
    """The ONNX model (an `onnx.ModelProto`) of a segment. Raises ExportError naming the module that cannot be exported.

    Inputs are `x` and, where it reads them, `previous`; outputs `features` and `logits`, or `logits` alone.
    """
    import onnx.inliner

    outputs = OUTPUTS if len(segment.program.graph_signature.user_outputs) == 2 else OUTPUTS[1:]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        _one_registry(),
    ):
        warnings.simplefilter("ignore")  # the exporter warns about itself
        try:
            found = torch.onnx.export(
                _with_plain_attention(segment.program),
                segment.examples,
                dynamo=True,
                input_names=list(INPUTS[: len(segment.examples)]),
                output_names=list(outputs),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # the exporter raises many kinds
            raise ExportError(_blame(segment, error)) from error
    assert found is not None
    model = found.model_proto
    if len(model.functions):
        model = onnx.inliner.inline_local_functions(model)
    _tidy(model)
    keep_layout(model.graph)
    return model


def _with_plain_attention(program: ExportedProgram) -> ExportedProgram:
    """The program with attention as products where the exporter would not take it: with a mask, or not in 4 dimensions.

    Masked attention leaves its memory in an order that the exporter does not keep, and then cannot view it.
    """
    attention = torch.ops.aten.scaled_dot_product_attention.default
    used = [node for node in program.graph.nodes if node.target is attention]
    if all(node.args[0].meta["val"].ndim == 4 and _mask_of(node) is None for node in used):
        return program
    plain: ExportedProgram = program.run_decompositions({attention: _attention})
    return plain


def _mask_of(node: fx.Node) -> Any:
    return node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Tensor:
    """`scaled_dot_product_attention` in eval mode, taken apart; `more` are its `scale` and `enable_gqa`."""
    scale = more.get("scale")
    if more.get("enable_gqa", False):
        key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], dim=-3) for each in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if masked else scores + attn_mask
    found: Tensor = scores.softmax(dim=-1) @ value
    return found


def keep_layout(graph: Any) -> None:
    """Where features are both convolved and added to later, let them pass through a pooling of one pixel first.

    onnxruntime convolves in a layout of its own (channels in blocks of 8 or 16) and stays in it as long as everything
    does. Features come in as they are, so that the sum at the end of a residual block would leave the layout, and all
    sums behind it. A pooling, which changes nothing, takes them into it. Other runtimes copy the features once.
    """
    import onnx

    name, shape = graph.input[0].name, graph.input[0].type.tensor_type.shape.dim
    readers = [node for node in graph.node if name in node.input]
    kinds = {node.op_type for node in readers}
    if len(shape) != 4 or shape[1].dim_value % _BLOCK or not kinds >= {"Conv", "Add"}:
        return
    for node in readers:
        node.input[:] = [f"{name}{_BLOCKED}" if given == name else given for given in node.input]
    graph.node.insert(0, onnx.helper.make_node("MaxPool", [name], [f"{name}{_BLOCKED}"], kernel_shape=[1, 1]))


def leave_layout(graph: Any) -> None:
    """Undo `keep_layout`: for a graph that takes its features from another one within the same program."""
    name = graph.input[0].name
    pools = [node for node in graph.node if list(node.output) == [f"{name}{_BLOCKED}"]]
    for node in pools:
        graph.node.remove(node)
    for node in graph.node if pools else ():
        node.input[:] = [name if given == f"{name}{_BLOCKED}" else given for given in node.input]


_registries: dict[str, Any] = {}


@contextlib.contextmanager
def _one_registry() -> Iterator[None]:
    """Let the exporter build its table of operators once in a process: for a branch that is most of the work.

    The table is torch's own affair; where it is not found by this name, each export builds its own as before.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        build, own = ONNXRegistry.from_torchlib, vars(ONNXRegistry)["from_torchlib"]
    except (ImportError, AttributeError, KeyError):
        yield
        return

    def kept(*arguments: Any, **options: Any) -> Any:
        key = repr((arguments, options))
        if key not in _registries:
            _registries[key] = build(*arguments, **options)
        return _registries[key]

    ONNXRegistry.from_torchlib = staticmethod(kept)  # type: ignore[method-assign]
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = own  # type: ignore[method-assign]


def _blame(segment: SegmentProgram, error: BaseException) -> str:
    """What cannot be exported: the module in the network, the operator, and the cut points it lies between."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    lacking = re.search(r"op='\w+\.(\w+)'", " ".join(str(each) for each in causes))
    for graph in (_graph(segment), segment.program.graph):
        for node in graph.nodes if graph is not None and lacking else ():
            # the exporter names the operator after decomposing it: bessel_j0 for special_bessel_j0
            if (operator := _operator(node)).endswith(lacking[1] if lacking else "?"):
                return (
                    f"ONNX has no operator for {operator!r}, which {_module(node)} runs in {segment.where}; replace "
                    "it there, leave that exit out, or take --format pt2"
                )
    return f"{segment.where} cannot be exported to ONNX: {first_line(causes[-1])}; take --format pt2"


def _graph(segment: SegmentProgram) -> fx.Graph | None:
    """The graph of the backbone's segment, whose nodes know the backbone's own modules; None where it is no graph."""
    inner = segment.module.segment
    return inner.graph if isinstance(inner, fx.GraphModule) else None


def _operator(node: fx.Node) -> str:
    """Such as "aten.relu" for a node that runs an operator of torch, else ""."""
    target = node.target
    return target._schema.name.replace("::", ".") if isinstance(target, torch._ops.OpOverload) else ""


def _module(node: fx.Node) -> str:
    """The innermost module that a node comes from, such as "'layer1.0' (MyBlock)"."""
    path, kind = list(node.meta.get("nn_module_stack", {"": ("", "")}).values())[-1]
    place, _, inside = path.partition(".")  # "module" wraps the whole backbone, "segment" and "branch" an exit's parts
    kind = str(kind).rpartition(".")[2]
    if place == "branch":
        return f"the branch, in {inside!r} ({kind})" if inside else f"the branch ({kind})"
    return f"{inside!r} ({kind})" if inside else "the network itself"


def _tidy(model: Any) -> None:
    """Call the batch by its name, and take out what tells of this machine or serves nobody."""
    graph = model.graph
    symbols = {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)} - {""}
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for place, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param in symbols or place == 0:
                dim.dim_param = BATCH
    for holder in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        holder.doc_string = ""
        del holder.metadata_props[:]

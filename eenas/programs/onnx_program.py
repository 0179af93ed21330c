"""The ONNX model of a segment: folded batch normalisation, any batch size, and no data about this machine."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from eenas.backbones.carried import CarryingSegment
from eenas.backbones.cut_points import first_line
from eenas.errors import ExportError
from eenas.programs.exit_segment import SegmentProgram
from eenas.programs.segments import INPUTS

OPSET = 18
"""The ONNX opset. Every onnxruntime since 1.14 supports it."""

BATCH, LENGTH = "batch", "length"

_BLOCK = 16
"""The largest block of channels in onnxruntime's own memory layout."""
_BLOCKED = "_blocked"
"""The suffix of the name of features in that layout."""


def onnx_model(segment: SegmentProgram) -> Any:
    """Return the ONNX model (`onnx.ModelProto`) of a segment.

    The inputs are `x` and, if the segment reads it, `previous`. The outputs are `features` and `logits`; the last
    segment has `logits` alone, and a segment of a network with experts `features` alone. Raises ExportError that names
    the module that cannot be exported.
    """
    import onnx.inliner

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
                output_names=list(segment.module.outputs),
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
    """Return the program with attention decomposed where the exporter fails: with a mask, or not in 4 dimensions.

    Masked attention leaves its output in a memory order that the exporter does not track, and a later view fails.
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
    """`scaled_dot_product_attention` in eval mode, as plain products. `more` holds `scale` and `enable_gqa`."""
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
    """Insert an identity max pooling at the input if the features are both convolved and added later.

    onnxruntime convolves in its own layout (blocks of 8 or 16 channels) and keeps it while every operator supports it.
    Features arrive in the plain layout, so the addition at the end of a residual block, and all later ones, would leave
    the blocked layout. The pooling of one pixel moves the features into it. Other runtimes copy the features once.
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
    """Undo `keep_layout` for a graph whose features come from another graph of the same program."""
    name = graph.input[0].name
    pools = [node for node in graph.node if list(node.output) == [f"{name}{_BLOCKED}"]]
    for node in pools:
        graph.node.remove(node)
    for node in graph.node if pools else ():
        node.input[:] = [name if given == f"{name}{_BLOCKED}" else given for given in node.input]


_registries: dict[str, Any] = {}


@contextlib.contextmanager
def _one_registry() -> Iterator[None]:
    """Make the exporter build its operator registry only once per process, which is most of the work for a branch.

    The registry is internal to torch. If this name does not exist, each export builds its own.
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
    """Return a message that names the operator, the module in the network, and the cut points around it."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    lacking = re.search(r"op='\w+\.(\w+)'", " ".join(str(each) for each in causes))
    for graph in (_graph(segment), segment.program.graph):
        for node in graph.nodes if graph is not None and lacking else ():
            # the exporter reports the decomposed operator: bessel_j0 for special_bessel_j0
            if (operator := _operator(node)).endswith(lacking[1] if lacking else "?"):
                return (
                    f"ONNX has no operator for {operator!r}, which {_module(node)} runs in {segment.where}; replace "
                    "it there, leave that exit out, or use --format pt2"
                )
    return f"{segment.where} cannot be exported to ONNX: {first_line(causes[-1])}; use --format pt2"


def _graph(segment: SegmentProgram) -> fx.Graph | None:
    """Return the graph of the backbone's segment, with the backbone's own module names, or None if it has no graph."""
    inner = segment.module.segment
    inner = inner.inner if isinstance(inner, CarryingSegment) else inner
    return inner.graph if isinstance(inner, fx.GraphModule) else None


def _operator(node: fx.Node) -> str:
    """Return the operator of a node, such as "aten.relu", or "" if it runs none of torch."""
    target = node.target
    return target._schema.name.replace("::", ".") if isinstance(target, torch._ops.OpOverload) else ""


def _module(node: fx.Node) -> str:
    """Return the innermost module of a node, such as "'layer1.0' (MyBlock)"."""
    path, kind = list(node.meta.get("nn_module_stack", {"": ("", "")}).values())[-1]
    place, _, inside = path.partition(".")  # "module" wraps the backbone, "segment" and "branch" the parts of an exit
    kind = str(kind).rpartition(".")[2]
    if place == "branch":
        return f"the branch's {inside!r} ({kind})" if inside else f"the branch ({kind})"
    return f"{inside!r} ({kind})" if inside else "the network itself"


def _tidy(model: Any) -> None:
    """Name the dimensions of any size, and remove metadata that is unused or describes this machine."""
    graph = model.graph
    symbols = {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)} - {""}
    lengths: dict[str, str] = {}
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for place, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param in symbols or place == 0:
                dim.dim_param = BATCH
            elif dim.dim_param:
                dim.dim_param = lengths.setdefault(dim.dim_param, f"{LENGTH}{len(lengths) or ''}")
    for holder in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        holder.doc_string = ""
        del holder.metadata_props[:]

"""The segments of an exported network: its graph, cut at the tensors that modules gave."""

import builtins
import contextlib
import io
import operator
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from eenas.backbones.cut_points import BY_HAND, first_line
from eenas.backbones.outputs import main_output
from eenas.errors import CutError
from eenas.user_code import replaced_builtin

DETOUR = "a value computed before that without a gradient (a mask, an index), or under autocast or no_grad,"


def exported_segments(module: nn.Module, example: Tensor, names: Sequence[str], what: str) -> list[nn.Module]:
    """Export `module`, which is in eval mode, on `example` [2, ...] and cut the graph behind the modules `names`.

    Gives `len(names) + 1` modules with the parameters and buffers of `module`. Hooks hand the named modules' outputs to
    the exporter as outputs of the program, so that the tensors to cut at are known. Raises CutError.
    """
    program = export_program(_Watched(module, names), (example,), what)
    signature = program.graph_signature
    graph = _Graph(program, what)
    places = [graph.nodes[str(output)] for output in signature.user_outputs]
    return [
        graph.segment(before, place, end)
        for before, place, end in zip([None, *places[:-1]], places, [*names, "output"], strict=True)
    ]


def cuttable(module: nn.Module, example: Tensor, names: Sequence[str], what: str) -> set[str]:
    """Which of the modules `names` give all that the rest of the exported graph needs. Raises CutError as an export."""
    program = export_program(_Watched(module, names), (example,), what)
    graph = _Graph(program, what)
    *places, output = [graph.nodes[str(each)] for each in program.graph_signature.user_outputs]
    return {
        name
        for name, place in zip(names, places, strict=True)
        if place is not output and graph.goes_through(place, output)
    }


class _Watched(nn.Module):
    """The network with the outputs of some of its modules before its own: (at cut point 0, ..., logits)."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)
        self.what = type(module).__name__

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run the network once."""
        seen: dict[str, list[Any]] = {name: [] for name in self.names}
        parts = dict(self.module.named_modules())
        handles = [
            parts[name].register_forward_hook(
                lambda part, inputs, output, kept=kept: kept.append((output, getattr(output, "_version", 0)))
            )
            for name, kept in seen.items()
        ]
        try:
            logits = main_output(self.module(x))
        finally:
            for handle in handles:
                handle.remove()
        for name, outputs in seen.items():
            if len(outputs) != 1 or not isinstance(outputs[0][0], Tensor):
                kind = f"gives a {type(outputs[0][0]).__name__}" if len(outputs) == 1 else f"runs {len(outputs)} times"
                raise CutError(f"{self.what}: {name!r} {kind}; a cut point runs once and gives one tensor")
            if outputs[0][0]._version != outputs[0][1]:
                raise overwritten(name, self.what)
        return (*(outputs[0][0] for outputs in seen.values()), logits)


def overwritten(name: str, what: str) -> CutError:
    """The error for a cut point whose tensor does not last."""
    return CutError(
        f"{what}: the output of {name!r} is overwritten by the layer after it; cut behind that one, or make it not "
        "inplace"
    )


def export_program(module: nn.Module, examples: tuple[Tensor, ...], what: str) -> ExportedProgram:
    """The program of `module`, in eval mode, for any batch; `examples` [2, ...] are its inputs.

    Raises CutError with what stopped it; `what` names the module.
    """
    batches = tuple({0: Dim.AUTO} for _ in examples)
    # on a failure the exporter writes the whole graph to stderr; its message is enough
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        # torch warns about itself in some versions; what the user's code warns about stays
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=r"torch(\.|$)")
        # a cache that a module fills while it runs; the exporter puts it back as it was
        warnings.filterwarnings(
            "ignore", message=r"The tensor attributes? .* assigned during export", category=UserWarning
        )
        try:
            with _symbolic_len():
                program = torch.export.export(module, examples, dynamic_shapes=batches, strict=False)
        except CutError:
            raise
        except Exception as error:  # the exporter and the user's model may raise anything
            raise CutError(f"torch.export cannot trace {what}: {first_line(error)}; {BY_HAND}") from error
    inputs = program.graph_signature.user_inputs
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == inputs[0])
    if not isinstance(shape[0], torch.SymInt):
        raise CutError(f"{what} only works for a fixed batch size ({shape[0]}); {BY_HAND}")
    return program


@contextlib.contextmanager
def _symbolic_len() -> Iterator[None]:
    """Inside this context the `len` of a tensor is its symbolic size: `x.view(len(x), -1)` means any batch."""
    own = builtins.len

    def length(value: Any) -> Any:
        return value.shape[0] if isinstance(value, Tensor) and value.ndim else own(value)

    with replaced_builtin("len", length):
        yield


class _Graph:
    """An exported graph, with what its nodes read and write."""

    def __init__(self, program: ExportedProgram, what: str) -> None:
        self.program = program
        self.what = what
        self.nodes = {node.name: node for node in program.graph.nodes}
        self._position = {node: index for index, node in enumerate(program.graph.nodes)}
        self._state = _states(program)
        self._input = self.nodes[str(program.graph_signature.user_inputs[0])]
        self._batch = self._input.meta["val"].shape[0].node.expr
        self._memory: dict[fx.Node, fx.Node] = {}
        self._writers: dict[fx.Node, list[fx.Node]] = defaultdict(list)
        for node in program.graph.nodes:
            self._note(node)

    def segment(self, before: fx.Node | None, end: fx.Node, name: str) -> fx.GraphModule:
        """The part of the graph that makes `end` out of `before` (None: the network's input)."""
        start = self._input if before is None else before
        if start is end:
            raise CutError(f"{self.what}: nothing lies between {name!r} and the cut point before it; name one of them")
        needed = self._needed(start, end, name)
        graph = fx.Graph()
        tensors: dict[str, Any] = {}
        made: dict[fx.Node, fx.Node] = {start: graph.placeholder("x")}
        for node in sorted(needed, key=self._position.__getitem__):
            if node in self._state:
                target = f"tensor_{len(tensors)}"
                tensors[target] = self._state[node]
                made[node] = graph.get_attr(target)
            elif node.op == "get_attr":
                target = f"part_{len(tensors)}"
                tensors[target] = getattr(self.program.graph_module, str(node.target))
                made[node] = graph.get_attr(target)
            elif (factor := self._samples(node)) is not None:
                size = graph.call_function(torch.ops.aten.sym_size.int, (made[start], 0))
                made[node] = size if factor == 1 else graph.call_function(operator.mul, (size, factor))
            else:
                made[node] = graph.node_copy(node, made.__getitem__)
        graph.output(made[end])
        return fx.GraphModule(tensors, graph, class_name="Segment")

    def goes_through(self, place: fx.Node, end: fx.Node) -> bool:
        """Whether all that `end` needs of the network's input comes through `place`."""
        try:
            self._needed(place, end, "")
        except CutError:
            return False
        return True

    def _needed(self, start: fx.Node, end: fx.Node, name: str) -> set[fx.Node]:
        """All nodes that `end` depends on, `start` and what lies before it excepted; writes into their memory too."""
        needed: set[fx.Node] = set()
        waiting = [end]
        while waiting:
            node = waiting.pop()
            if node in needed or node is start:
                continue
            if node is self._input:
                reason = "cut points must be in depth order, and all that lies behind one must come through it"
                if self._position[start] < self._position[end]:
                    reason = f"{DETOUR} is used again behind that one; leave it out"
                raise CutError(
                    f"{self.what}: what {name!r} gives depends on more than the cut point before it: {reason}"
                )
            needed.add(node)
            if self._samples(node) is None:
                waiting.extend(node.all_input_nodes)
                memory = self._memory[node]
                # what was written into the start's memory before the start is in its value already
                first = self._position[start] if memory is self._memory[start] else -1
                waiting.extend(
                    writer for writer in self._writers[memory] if first < self._position[writer] < self._position[end]
                )
        return needed

    def _samples(self, node: fx.Node) -> int | None:
        """For a size that is a multiple of the batch: how many times the batch; else None."""
        value = node.meta.get("val")
        if not isinstance(value, torch.SymInt):
            return None
        factor = value.node.expr / self._batch
        return int(factor) if factor.is_Integer else None

    def _note(self, node: fx.Node) -> None:
        """Keep whose memory a node's value lies in, and whose it writes."""
        self._memory[node] = node
        if node.target is operator.getitem:
            self._memory[node] = self._memory[node.args[0]]  # type: ignore[index]
        if not isinstance(node.target, torch._ops.OpOverload):
            return
        schema = node.target._schema
        for index, argument in enumerate(schema.arguments):
            value = node.args[index] if index < len(node.args) else node.kwargs.get(argument.name)
            if argument.alias_info is None or not isinstance(value, fx.Node):
                continue
            if any(given.alias_info is not None for given in schema.returns):
                self._memory[node] = self._memory[value]
            if argument.alias_info.is_write:
                self._writers[self._memory[value]].append(node)


def _states(program: ExportedProgram) -> dict[fx.Node, Tensor]:
    """The parameters, buffers and constants by their placeholders: the very tensors of the exported module."""
    nodes = {node.name: node for node in program.graph.nodes}
    states: dict[fx.Node, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT or spec.target is None:
            continue
        held = program.state_dict if spec.target in program.state_dict else program.constants
        states[nodes[spec.arg.name]] = held[spec.target]
    return states

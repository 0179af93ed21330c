"""The segments of an exported network: its graph split at the outputs of modules."""

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

from eenas.backbones.carried import CarryingSegment, carrier_of
from eenas.backbones.cut_points import BY_HAND, first_line
from eenas.backbones.outputs import main_output
from eenas.backbones.traced.recurrence import whole_recurrence
from eenas.backbones.traced.sizes import Sizes
from eenas.errors import CutError
from eenas.user_code import replaced_builtin

DETOUR = "a value computed before that without a gradient (a mask, an index), or under autocast or no_grad,"


def exported_segments(module: nn.Module, example: Tensor, names: Sequence[str], label: str) -> list[nn.Module]:
    """Export `module`, in eval mode, on `example` [2, ...] and split the graph after the modules `names`.

    Returns `len(names) + 1` modules that share the parameters and buffers of `module`. Hooks make the outputs of the
    named modules outputs of the exported program, which marks the tensors to cut at. The segments of a
    `CarryingModule` unpack and pack its carried columns. Raises CutError if the export fails or the graph cannot be
    split there.
    """
    carrier = carrier_of(module)
    graph, places = _exported(module, example, names, label)
    carried = None if carrier is None else places.pop()
    packed = [carrier is not None and carrier.packs(place.meta["val"]) for place in places[:-1]]
    segments: list[nn.Module] = []
    for k, (place, end) in enumerate(zip(places, [*names, "output"], strict=True)):
        packs = k < len(packed) and packed[k]
        unpacks = k > 0 and packed[k - 1]
        ends = [place, *([carried] if k == 0 and packs and carried is not None else [])]
        part = graph.segment(places[k - 1] if k else None, ends, end, carried if unpacks else None)
        if carrier is None:
            segments.append(part)
        else:
            segments.append(CarryingSegment(part, carrier, first=k == 0, unpacks=unpacks, packs=packs))
    return segments


def cuttable(module: nn.Module, example: Tensor, names: Sequence[str], label: str) -> set[str]:
    """Return those of the modules `names` that nothing bypasses: the later graph reads the input only through them.

    Raises CutError if the export fails.
    """
    carrier = carrier_of(module)
    graph, places = _exported(module, example, names, label)
    carried = None if carrier is None else places.pop()
    *places, output = places
    return {
        name
        for name, place in zip(names, places, strict=True)
        if place is not output
        and graph.goes_through(
            place, output, carried if carrier is not None and carrier.packs(place.meta["val"]) else None
        )
    }


def _exported(module: nn.Module, example: Tensor, names: Sequence[str], label: str) -> tuple["_Graph", list[fx.Node]]:
    """Return the graph, and the nodes of the cut points, of the logits, and of carried columns if there are any."""
    carrier = carrier_of(module)
    varying = () if carrier is None else carrier.varying
    program = export_program(_WithCutOutputs(module, names), (example,), label, (varying,))
    graph = _Graph(program, label)
    return graph, [graph.nodes[str(each)] for each in program.graph_signature.user_outputs]


class _WithCutOutputs(nn.Module):
    """The network returning the outputs of some of its modules before its own: (at cut point 0, ..., logits).

    The carried columns of a `CarryingModule` come last.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)
        self.label = type(module).__name__
        carrier = carrier_of(module)
        carry = None if carrier is None else carrier.carry
        self.carry = next((name for name, part in module.named_modules() if part is carry), None)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run the network once and return the recorded outputs and the logits."""
        last = [] if self.carry is None else [self.carry]
        seen: dict[str, list[Any]] = {name: [] for name in (*self.names, *last)}
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
                raise CutError(
                    f"{self.label}: {name!r} {kind}; a cut point runs once and gives one tensor; choose another module"
                )
            if outputs[0][0]._version != outputs[0][1]:
                raise overwritten_error(name, self.label)
        found = [outputs[0][0] for outputs in seen.values()]
        return (*found[: len(self.names)], logits, *found[len(self.names) :])


def overwritten_error(name: str, label: str) -> CutError:
    """Return the error for a cut point whose tensor a later layer overwrites."""
    return CutError(
        f"{label}: the output of {name!r} is overwritten by the layer after it; cut after that layer, or set its "
        "inplace=False"
    )


def export_program(
    module: nn.Module, examples: tuple[Tensor, ...], label: str, varying: Sequence[Sequence[int]] = ()
) -> ExportedProgram:
    """Export `module`, in eval mode, for any batch size; `examples` [2, ...] are its inputs.

    `varying` are the other axes of each input that may have any length. `label` names the module in messages. Raises
    CutError with the exporter's reason if the export fails or fixes the batch size or such a length.
    """
    axes = [(0, *(varying[k] if k < len(varying) else ())) for k in range(len(examples))]
    batches = tuple(dict.fromkeys(each, Dim.AUTO) for each in axes)
    # the exporter writes the whole graph to stderr if it fails; its message is enough
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        # some versions of torch warn about themselves; warnings of the user's code stay
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=r"torch(\.|$)")
        # a cache that a module fills while it runs; the exporter restores it
        warnings.filterwarnings(
            "ignore", message=r"The tensor attributes? .* assigned during export", category=UserWarning
        )
        try:
            with _symbolic_len(), whole_recurrence():
                program = torch.export.export(module, examples, dynamic_shapes=batches, strict=False)
        except CutError:
            raise
        except Exception as error:  # the exporter and the user's module may raise anything
            raise CutError(f"torch.export cannot trace {label}: {first_line(error)}; {BY_HAND}") from error
    inputs = program.graph_signature.user_inputs
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == inputs[0])
    if not isinstance(shape[0], torch.SymInt):
        raise CutError(f"{label} must run on any batch size, but was exported for {shape[0]} only; {BY_HAND}")
    for axis in axes[0][1:]:
        if not isinstance(shape[axis], torch.SymInt):
            raise CutError(
                f"{label} must run on any length, but was exported for {shape[axis]} only; take lengths from the "
                "shapes of tensors (x.shape[1]), never from constants"
            )
    return program


@contextlib.contextmanager
def _symbolic_len() -> Iterator[None]:
    """Make `len` of a tensor its symbolic size, so that `x.view(len(x), -1)` holds for any batch size."""
    own = builtins.len

    def length(value: Any) -> Any:
        return value.shape[0] if isinstance(value, Tensor) and value.ndim else own(value)

    with replaced_builtin("len", length):
        yield


class _Graph:
    """An exported graph, with the memory that each node reads and writes."""

    def __init__(self, program: ExportedProgram, label: str) -> None:
        self.program = program
        self.label = label
        self.nodes = {node.name: node for node in program.graph.nodes}
        self._position = {node: index for index, node in enumerate(program.graph.nodes)}
        self._state = _states(program)
        self._input = self.nodes[str(program.graph_signature.user_inputs[0])]
        self._memory: dict[fx.Node, fx.Node] = {}
        self._writers: dict[fx.Node, list[fx.Node]] = defaultdict(list)
        for node in program.graph.nodes:
            self._note(node)

    def segment(
        self, before: fx.Node | None, ends: Sequence[fx.Node], name: str, carried: fx.Node | None = None
    ) -> fx.GraphModule:
        """Return the part of the graph that computes `ends` from `before` (None: from the network's input).

        Its second input is `carried`, if given. With several ends it returns a tuple.
        """
        start, end = self._input if before is None else before, ends[0]
        if start is end:
            raise CutError(
                f"{self.label}: there is no layer between {name!r} and the cut point before it; keep one of the two"
            )
        sizes = Sizes(start, *([] if carried is None else [carried]))
        needed = {node for each in ends for node in self._needed(sizes, each, name)}
        graph = fx.Graph()
        tensors: dict[str, Any] = {}
        made: dict[fx.Node, fx.Node] = {start: graph.placeholder("x")}
        if carried is not None:
            made[carried] = graph.placeholder("carried")
        for node in sorted(needed, key=self._position.__getitem__):
            if node in self._state:
                target = f"tensor_{len(tensors)}"
                tensors[target] = self._state[node]
                made[node] = graph.get_attr(target)
            elif node.op == "get_attr":
                target = f"part_{len(tensors)}"
                tensors[target] = getattr(self.program.graph_module, str(node.target))
                made[node] = graph.get_attr(target)
            elif sizes.known(node):
                made[node] = sizes.write(node, graph, made)
            else:
                made[node] = graph.node_copy(node, made.__getitem__)
        graph.output(made[end] if len(ends) == 1 else tuple(made[each] for each in ends))
        return fx.GraphModule(tensors, graph, class_name="Segment")

    def goes_through(self, place: fx.Node, end: fx.Node, carried: fx.Node | None = None) -> bool:
        """Whether `end` depends on the network's input only through `place` and the carried columns."""
        try:
            self._needed(Sizes(place, *([] if carried is None else [carried])), end, "")
        except CutError:
            return False
        return True

    def _needed(self, sizes: Sizes, end: fx.Node, name: str) -> set[fx.Node]:
        """Return the nodes after the start that `end` depends on, including those that write into their memory."""
        needed: set[fx.Node] = set()
        start = sizes.starts[0]
        waiting = [end]
        while waiting:
            node = waiting.pop()
            if node in needed or node in sizes.starts:
                continue
            if node is self._input:
                reason = (
                    "cut points must be in depth order, and every later layer must depend on the input through them"
                )
                if self._position[start] < self._position[end]:
                    reason = f"{DETOUR} is used again after that cut point; leave it out"
                raise CutError(
                    f"{self.label}: the output of {name!r} depends on more than the cut point before it: {reason}"
                )
            needed.add(node)
            if not sizes.known(node):
                waiting.extend(node.all_input_nodes)
                memory = self._memory[node]
                # the value of `start` includes all writes into its memory before it
                first = self._position[start] if memory is self._memory[start] else -1
                waiting.extend(
                    writer for writer in self._writers[memory] if first < self._position[writer] < self._position[end]
                )
        return needed

    def _note(self, node: fx.Node) -> None:
        """Record which node's memory holds the value of `node`, and which memory it writes."""
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
    """Return the exported module's own parameters, buffers and constants by their placeholders."""
    nodes = {node.name: node for node in program.graph.nodes}
    states: dict[fx.Node, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT or spec.target is None:
            continue
        held = program.state_dict if spec.target in program.state_dict else program.constants
        states[nodes[spec.arg.name]] = held[spec.target]
    return states

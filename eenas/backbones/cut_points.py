"""Cut points: modules whose output every path through the network passes, found by running it."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from eenas.backbones.carried import CarryingModule, carrier_of
from eenas.backbones.copies import copy_of
from eenas.backbones.dominators import Place, dominators, place_of
from eenas.backbones.features import FeatureShape
from eenas.backbones.gradient_tracking import TrackGradients
from eenas.backbones.layouts import ForwardPass, LayoutHints, carried_shapes, read_shapes
from eenas.backbones.models.block_names import block_name, has_weights, is_stage
from eenas.backbones.models.series.packing import PackingStep
from eenas.backbones.models.shared_layers import RunEnd
from eenas.backbones.outputs import main_output
from eenas.backbones.traced.recorder import RecordedOutput, Recorder
from eenas.errors import CutError, EenasError
from eenas.seeding import seeded

RECURRENT = "an nn.LSTM or nn.GRU returns a tuple; wrap each in a module that returns its sequence alone"
BY_HAND = "an nn.Sequential of its parts can always be cut between them"


@dataclass(frozen=True)
class CutPoint:
    """A module whose output carries everything that the rest of the network needs.

    `name` is the module's name in the backbone and `shape` the shape of its output. `block_end` tells whether a block
    (such as a residual block) ends there; branches attach to block ends by default. `seen` is the share of the input
    that is read by then, below 1 in networks with exits in time (`unrolled`).
    """

    name: str
    shape: FeatureShape
    block_end: bool
    seen: float = 1.0

    def to_table(self) -> dict[str, Any]:
        """Plain data for `eenas.specs`; a whole input is left out, as in older files."""
        table = {"name": self.name, "shape": self.shape.to_table(), "block_end": self.block_end}
        return table if self.seen == 1.0 else {**table, "seen": self.seen}


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass: outputs by module name in calling order, dominators in depth order."""

    outputs: Mapping[str, RecordedOutput]
    places: tuple[Place, ...]
    weight_layers: int
    final: Place
    inputs: Tensor | None
    logits: Tensor
    hints: LayoutHints
    has_detours: bool
    carrier: CarryingModule | None = None
    carried: Tensor | None = None

    def travelling(self, output: RecordedOutput) -> Tensor | None:
        """Return the tensor that travels with the features `output`, or None if they cannot be packed."""
        if self.carrier is None or not self.carrier.packs(output.tensor):
            return output.tensor
        try:
            return self.carrier.pack(output.tensor.detach(), self._columns)
        except (RuntimeError, ValueError, IndexError):  # of a layer inside a block, such as a map of attention
            return None

    @property
    def _columns(self) -> Tensor:
        if self.carried is None:
            raise CutError(f"{type(self.carrier).__name__} must call its `carry` once in forward; call it first")
        return self.carried


class _Found(NamedTuple):
    """A cut point; `order` as in `RecordedOutput`."""

    name: str
    order: int
    shape: FeatureShape


class CutCandidates(NamedTuple):
    """Cut points according to the autograd graph.

    `has_detours` tells whether values without a gradient, which that graph does not show, may bypass them.
    """

    points: tuple[CutPoint, ...]
    has_detours: bool


def find_cut_points(module: nn.Module, example: Tensor) -> tuple[CutPoint, ...]:
    """Return the points of `find_candidates`."""
    return find_candidates(module, example).points


def find_candidates(module: nn.Module, example: Tensor) -> CutCandidates:
    """Return all cut points of `module` in depth order, for inputs like `example` [N, ...].

    A module is a cut point if it runs once and its output lies on every path of the autograd graph from the network's
    logits to its input, in training mode and in eval mode. If several modules give the same tensor, the block is named.
    These are left out: outputs before the first or after the last layer with weights, pooled vectors followed by the
    classifier only, tensors that a later operation overwrites, and maps with an unknown position of the channels. A
    deep copy runs; neither the module nor the random state changes. Raises CutError if the network does not run or has
    no cut point.
    """
    label = type(module).__name__
    evaluated = _run(module, example, 2, label, training=False)
    trained = _run(module, example, 3, label, training=True)  # another batch size identifies the batch dimension
    modules = dict(module.named_modules())
    usable = {
        name
        for name, output in evaluated.outputs.items()
        if _follows_batch(output, evaluated, trained.outputs.get(name), trained)
    }
    named: list[tuple[str, RecordedOutput]] = []
    for place in evaluated.places:
        names = [name for name, output in evaluated.outputs.items() if output.place == place and name in usable]
        if names and place != evaluated.final and 0 < evaluated.outputs[names[0]].order < evaluated.weight_layers:
            named.append((block_name(names, modules), evaluated.outputs[names[0]]))
    forward_pass = ForwardPass(evaluated.inputs, evaluated.logits, evaluated.hints)
    if evaluated.carrier is None:
        shapes = read_shapes([(name, output.tensor) for name, output in named], module, example, forward_pass)
    else:
        travelling = [(output.tensor, evaluated.travelling(output)) for _, output in named]
        shapes = carried_shapes(travelling, evaluated.carrier, forward_pass)
    found = [
        _Found(name, output.order, shape)
        for (name, output), shape in zip(named, shapes, strict=True)
        if shape is not None
    ]
    found = [each for each in found if each.order < evaluated.weight_layers - 1 or not _is_pooled(each, found)]
    ends = _block_ends(found, modules)
    points = tuple(_cut_point(each, end, modules[each.name]) for each, end in zip(found, ends, strict=True))
    if not points:
        is_recurrent = any(isinstance(part, nn.RNNBase) for part in module.modules())
        raise CutError(
            f"{label} has no cut point: a cut point needs layers before and after it, and its output must be the only "
            f"tensor that the later layers use; {RECURRENT if is_recurrent else BY_HAND}"
        )
    return CutCandidates(points, evaluated.has_detours)


def _cut_point(found: _Found, block_end: bool, module: nn.Module) -> CutPoint:
    """Return the cut point; a packing step says which columns a classifier reads, and what is seen of the input."""
    if not isinstance(module, PackingStep):
        return CutPoint(found.name, found.shape, block_end)
    return CutPoint(found.name, replace(found.shape, carried=module.carried), block_end, module.seen)


def first_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message, shortened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def with_batch_size(example: Tensor, batch: int) -> Tensor:
    """Return a new tensor of `batch` samples: those of `example` [N, ...] in order, repeated as needed."""
    return example.detach()[torch.arange(batch, device=example.device) % len(example)].clone()


def on_device_of(example: Tensor, module: nn.Module) -> Tensor:
    """Return `example` on the device of the module's first parameter."""
    first = next(module.parameters(), None)
    return example if first is None else example.to(first.device)


@torch.inference_mode(False)
@torch.enable_grad()
def _run(module: nn.Module, example: Tensor, batch: int, label: str, *, training: bool) -> _Pass:
    """Run a deep copy with recording hooks; only the input requires a gradient."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            stack.enter_context(seeded(0))
            copied = copy_of(module)
            copied.requires_grad_(False)
            copied.train(training)
            recorder = Recorder(copied)
            inputs = with_batch_size(on_device_of(example, module), batch)
            tracked = stack.enter_context(TrackGradients())
            carrier = carrier_of(copied)
            if carrier is not None:
                carrier.carry.register_forward_hook(partial(recorder.carry, tracked))
            if inputs.is_floating_point():
                output = main_output(copied(recorder.begin(inputs)))
            else:
                recorder.begin_at_embedding()
                output = main_output(copied(inputs))
    except EenasError:
        raise
    except Exception as error:  # a user's module may raise anything
        mode = "training" if training else "evaluation"
        shape = [batch, *example.shape[1:]]
        raise CutError(f"{label} does not run in {mode} on an input of {shape}: {first_line(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    if output.grad_fn is None:
        raise CutError(f"{label} cannot be cut: no gradient flows from its output to its input; {BY_HAND}")
    final = place_of(output)
    places = tuple(place for place in dominators(final) if place not in recorder.starts)
    leaf = inputs if inputs.is_floating_point() else None
    outputs = recorder.outputs_called_once()
    # values computed from ids have no gradient, so nothing shows whether they bypass a cut point
    detours = tracked.has_detours or leaf is None or carrier is not None
    layers, hints = recorder.weight_layers, recorder.hints
    return _Pass(outputs, places, layers, final, leaf, output, hints, detours, carrier, recorder.carried)


def _follows_batch(output: RecordedOutput, evaluated: _Pass, again: RecordedOutput | None, trained: _Pass) -> bool:
    """Whether a module's output is a feature tensor in both passes, with the batch of 2 or 3 in its first dimension."""
    if again is None or again.place not in trained.places or output.place not in evaluated.places:
        return False
    one, other = evaluated.travelling(output), trained.travelling(again)
    if one is None or other is None or not 2 <= one.ndim <= (4 if evaluated.carrier is None else 3):
        return False
    return tuple(other.shape) == (3, *one.shape[1:]) and one.shape[0] == 2


def _is_pooled(point: _Found, found: list[_Found]) -> bool:
    """Whether a point is a vector or a 1x1 map computed from a map or tokens by layers without weights."""
    before = [each.shape for each in found[: found.index(point)] if each.order == point.order]
    return point.shape.tokens == 1 and any(shape.tokens > 1 or shape.kind != point.shape.kind for shape in before)


def _block_ends(found: list[_Found], modules: Mapping[str, nn.Module]) -> list[bool]:
    """Tell which points end a block: a module with submodules and weights, outside any other block, or a `RunEnd`.

    A plain stack of layers has no blocks. There a block ends before each next layer with weights.
    """
    blocks = {point.name for point in found if not is_stage(modules[point.name])}
    ends = []
    for point in found:
        parts = point.name.split(".")
        inside = any(".".join(parts[:count]) in blocks for count in range(1, len(parts)))
        composed = any(modules[point.name].children()) and any(
            has_weights(part) for part in modules[point.name].modules()
        )
        ends.append((composed or isinstance(modules[point.name], RunEnd)) and not inside)
    if any(ends):
        return ends
    layers = [point for k, point in enumerate(found) if not (k and _is_flattened(point, found[k - 1]))]
    last = {before.name for before, after in pairwise(layers) if after.order > before.order}
    return [point.name in last or point is layers[-1] for point in found]


def _is_flattened(point: _Found, before: _Found) -> bool:
    """Whether a vector is the flattened map or tokens before it."""
    same = point.order == before.order and point.shape.elements == before.shape.elements
    return same and point.shape.kind == "vector" and before.shape.kind != "vector"

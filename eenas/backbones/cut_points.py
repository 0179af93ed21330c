"""Cut points: the places of a network through which every path goes in one tensor, found by running it once."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.dominators import Place, dominators, place_of
from eenas.backbones.features import FeatureShape
from eenas.backbones.followed import Followed
from eenas.backbones.layouts import Readers, Seen, read_shapes
from eenas.backbones.models.block_names import block_name, is_stage, weighs
from eenas.backbones.outputs import main_output
from eenas.errors import CutError, EenasError
from eenas.seeding import seeded

BY_HAND = "an nn.Sequential of its parts can always be cut between them"


@dataclass(frozen=True)
class CutPoint:
    """A module whose output carries everything that the rest of the network needs.

    `name` is the module's name in the backbone, `shape` that of its output, `block_end` whether a block (such as a
    residual one) ends there, which is where branches stand by default.
    """

    name: str
    shape: FeatureShape
    block_end: bool


@dataclass(frozen=True, eq=False)
class _Output:
    """What a module gave: the tensor with its place in the autograd graph and its version at that time.

    `order` counts the weight layers that had run by then, the module itself included.
    """

    tensor: Tensor
    place: Place
    version: int
    order: int


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass: outputs by module name in calling order, dominating places in depth order."""

    outputs: Mapping[str, _Output]
    places: tuple[Place, ...]
    weight_layers: int
    final: Place
    inputs: Tensor | None
    logits: Tensor
    readers: Readers
    has_detours: bool


class _Found(NamedTuple):
    """A cut point; `order` as in `_Output`."""

    name: str
    order: int
    shape: FeatureShape


class Candidates(NamedTuple):
    """Cut points by the autograd graph; `has_detours` says that values may go round them, which it does not show."""

    points: tuple[CutPoint, ...]
    has_detours: bool


def find_cut_points(module: nn.Module, example: Tensor) -> tuple[CutPoint, ...]:
    """The points of `find_candidates`."""
    return find_candidates(module, example).points


def find_candidates(module: nn.Module, example: Tensor) -> Candidates:
    """All cut points of `module` in depth order, for inputs like `example` [N, ...].

    A module is a cut point when it runs once and its output lies on every path of the autograd graph from the network's
    output (the first one, where training gives auxiliary outputs) to its input, in training and in evaluation. Of
    modules that give the same tensor the block is named. Left out are places before the first and behind the last layer
    with weights, pooled vectors with nothing but the classifier behind them, tensors that a later operation overwrites,
    and maps of which nobody can tell where their channels are. A deep copy runs; neither the module nor the random
    state changes. Raises CutError for a network that cannot be run or has no cut point.
    """
    what = type(module).__name__
    evaluated = _run(module, example, 2, what, training=False)
    trained = _run(module, example, 3, what, training=True)  # another batch size tells the batch dimension apart
    modules = dict(module.named_modules())
    usable = {
        name for name, output in evaluated.outputs.items() if _follows_batch(output, trained.outputs.get(name), trained)
    }
    named: list[tuple[str, _Output]] = []
    for place in evaluated.places:
        names = [name for name, output in evaluated.outputs.items() if output.place == place and name in usable]
        if names and place != evaluated.final and 0 < evaluated.outputs[names[0]].order < evaluated.weight_layers:
            named.append((block_name(names, modules), evaluated.outputs[names[0]]))
    seen = Seen(evaluated.inputs, evaluated.logits, evaluated.readers)
    shapes = read_shapes([(name, output.tensor) for name, output in named], module, example, seen)
    found = [
        _Found(name, output.order, shape)
        for (name, output), shape in zip(named, shapes, strict=True)
        if shape is not None
    ]
    found = [each for each in found if each.order < evaluated.weight_layers - 1 or not _is_pooled(each, found)]
    ends = _block_ends(found, modules)
    points = tuple(CutPoint(each.name, each.shape, end) for each, end in zip(found, ends, strict=True))
    if not points:
        raise CutError(
            f"{what} has no cut point: no module with layers before and behind it gives, in one tensor, all that the "
            f"rest needs; {BY_HAND}"
        )
    return Candidates(points, evaluated.has_detours)


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its message, shortened, for a message of one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def enlarged(example: Tensor, batch: int) -> Tensor:
    """`batch` samples made of those of `example` [N, ...], in order and repeated as needed, as a tensor of its own."""
    return example.detach()[torch.arange(batch, device=example.device) % len(example)].clone()


def place_like(example: Tensor, module: nn.Module) -> Tensor:
    """`example` on the device of the module's first parameter."""
    first = next(module.parameters(), None)
    return example if first is None else example.to(first.device)


@torch.inference_mode(False)
@torch.enable_grad()
def _run(module: nn.Module, example: Tensor, batch: int, what: str, *, training: bool) -> _Pass:
    """A forward pass of a deep copy, watched by hooks; only the input takes part in the autograd graph."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            stack.enter_context(seeded(0))
            copied = copy_of(module)
            copied.requires_grad_(False)
            copied.train(training)
            watch = _Watch(copied)
            inputs = enlarged(place_like(example, module), batch)
            followed = stack.enter_context(Followed())
            if inputs.is_floating_point():
                output = main_output(copied(watch.begin(inputs)))
            else:
                watch.begin_at_embedding()
                output = main_output(copied(inputs))
    except EenasError:
        raise
    except Exception as error:  # a model of the user may raise anything
        mode = "training" if training else "evaluation"
        shape = [batch, *example.shape[1:]]
        raise CutError(f"{what} does not run in {mode} on an input of {shape}: {first_line(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    if output.grad_fn is None:
        raise CutError(f"no gradient flows from the output of {what} to its input, so it cannot be cut; {BY_HAND}")
    final = place_of(output)
    places = tuple(place for place in dominators(final) if place not in watch.starts)
    leaf = inputs if inputs.is_floating_point() else None
    outputs, detours = watch.outputs_called_once(), followed.has_detours
    return _Pass(outputs, places, watch.weight_layers, final, leaf, output, watch.readers, detours)


class _Watch:
    """Hooks on every module below `root` that keep what each gave."""

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.weight_layers = 0
        self.starts: set[Place] = set()
        self.readers = Readers()
        self._calls: dict[str, int] = {}
        self._outputs: dict[str, _Output] = {}
        for name, part in root.named_modules():
            if name:
                part.register_forward_hook(partial(self._keep, name))
                part.register_forward_hook(self.readers.note)

    def begin(self, inputs: Tensor) -> Tensor:
        """The input as the graph's leaf; a copy goes on, so that the network may overwrite it."""
        started = inputs.requires_grad_().clone()
        self.starts.add(place_of(started))
        return started

    def begin_at_embedding(self) -> None:
        """For integers: the first embedding's output is the leaf."""
        first = next((part for part in self.root.modules() if isinstance(part, nn.Embedding)), None)
        if first is not None:
            first.register_forward_hook(lambda part, inputs, output: self.begin(output.detach()), prepend=True)

    def outputs_called_once(self) -> dict[str, _Output]:
        """By name, in the order in which they were given; without what was overwritten later."""
        return {
            name: output
            for name, output in self._outputs.items()
            if self._calls[name] == 1 and output.tensor._version == output.version
        }

    def _keep(self, name: str, part: nn.Module, inputs: Any, output: Any) -> None:
        self._calls[name] = self._calls.get(name, 0) + 1
        self.weight_layers += weighs(part)
        if isinstance(output, Tensor) and output.grad_fn is not None and output.is_floating_point():
            self._outputs[name] = _Output(output, place_of(output), output._version, self.weight_layers)


def _follows_batch(output: _Output, again: _Output | None, trained: _Pass) -> bool:
    """Whether a module's output is a feature in both passes, with 2 and with 3 samples in its first dimension."""
    if again is None or again.place not in trained.places or not 2 <= output.tensor.ndim <= 4:
        return False
    return tuple(again.tensor.shape) == (3, *output.tensor.shape[1:]) and output.tensor.shape[0] == 2


def _is_pooled(point: _Found, found: list[_Found]) -> bool:
    """Whether a point is a vector, or a map of one pixel, made of a map or tokens without any weight."""
    before = [each.shape for each in found[: found.index(point)] if each.order == point.order]
    return point.shape.tokens == 1 and any(shape.tokens > 1 or shape.kind != point.shape.kind for shape in before)


def _block_ends(found: list[_Found], modules: Mapping[str, nn.Module]) -> list[bool]:
    """Which points end a block: modules made of others, with weights and not inside such a one.

    A plain stack of layers has none; there a block ends before the next layer with weights.
    """
    blocks = {point.name for point in found if not is_stage(modules[point.name])}
    ends = []
    for point in found:
        parts = point.name.split(".")
        inside = any(".".join(parts[:count]) in blocks for count in range(1, len(parts)))
        composed = any(modules[point.name].children()) and any(weighs(part) for part in modules[point.name].modules())
        ends.append(composed and not inside)
    if any(ends):
        return ends
    layers = [point for k, point in enumerate(found) if not (k and _is_flattened(point, found[k - 1]))]
    last = {before.name for before, after in pairwise(layers) if after.order > before.order}
    return [point.name in last or point is layers[-1] for point in found]


def _is_flattened(point: _Found, before: _Found) -> bool:
    """Whether a vector holds what the map or tokens before it hold."""
    same = point.order == before.order and point.shape.elements == before.shape.elements
    return same and point.shape.kind == "vector" and before.shape.kind != "vector"

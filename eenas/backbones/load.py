"""Load a backbone, by name or from a module: the network, its transform, its weights and its cut points."""

import hashlib
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from eenas import specs
from eenas.backbones.channels import initialise
from eenas.backbones.classifier import count_classes, find_classifier, replace_classifier
from eenas.backbones.cut_points import CutPoint
from eenas.backbones.detours import cut_points_of
from eenas.backbones.extra_state import check_extra_state, split_state, to_text
from eenas.backbones.graphs.user_graphs import split_graphs, takes_graphs
from eenas.backbones.independence import check_independence
from eenas.backbones.memory_format import INFERENCE, format_of
from eenas.backbones.models.hf_models import HfParts, HfWish, build_hf
from eenas.backbones.models.names import read_name
from eenas.backbones.models.own_models import build_own
from eenas.backbones.models.taken_inputs import check_kind, inputs_at, length_of
from eenas.backbones.models.timm_models import build_timm
from eenas.backbones.models.torchvision_models import build_torchvision
from eenas.backbones.models.user_models import call_factory, python_module, user_transform
from eenas.backbones.outputs import with_one_output
from eenas.backbones.probabilities import with_logits
from eenas.backbones.transforms.text_transform import with_max_length
from eenas.backbones.transforms.transform import Transform
from eenas.backbones.weights.weights import find_weights, load_weights, no_published_weights, read_weights
from eenas.errors import BackboneError, CutError, SpecError, nearest
from eenas.progress import Listener, Notice, silent
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_input import image_input, size_of
from eenas.tasks.inputs import InputSpec
from eenas.tasks.kinds import load_kind
from eenas.user_code import load_object


@dataclass(frozen=True)
class BackboneSpec:
    """The backbone of a study. A value of None keeps the backbone's own."""

    name: str
    """A timm model, `torchvision:NAME`, `hf:NAME_OR_FOLDER` of transformers, one of eenas's own,
    `package.module:factory` or `./file.py:factory`."""
    _: KW_ONLY
    weights: str = "none"
    """"none", "pretrained" or the path of a file."""
    cut_points: str | tuple[str, ...] = "blocks"
    """The cut points that branches may use: "blocks" (the ends of blocks), "all", or a list of names."""
    channels: int | None = None
    """Input channels. By default, a named backbone takes those of the task if these are neither 1 nor 3."""
    mean: float | tuple[float, ...] | None = None
    """Mean of the pixels in [0, 1] that normalises them: one number, or one per channel."""
    std: float | tuple[float, ...] | None = None
    """Standard deviation of the pixels in [0, 1] that normalises them: one number, or one per channel."""
    max_length: int | None = None
    """Number of tokens from which on a text is truncated."""

    def __post_init__(self) -> None:
        """Raise SpecError for empty values and for less than one channel."""
        if not self.name or not self.weights or not self.cut_points:
            given = f"{self.name!r}, {self.weights!r} and {self.cut_points!r}"
            raise SpecError(f"name, weights and cut_points of a backbone must not be empty, got {given}; set them")
        if self.channels is not None and self.channels < 1:
            raise SpecError(f"channels of a backbone must be at least 1, got {self.channels}")
        if self.max_length is not None and self.max_length < 2:
            raise SpecError(f"max_length of a backbone must be at least 2 tokens, got {self.max_length}")


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network for a task, with its input transform.

    `module` takes [N, *transform.shape] and gives logits [N, num_classes]; training updates this very module. `weights`
    repeats the specification, or is "own" for a module given from Python. `fresh_classifier` tells whether the
    classifier is untrained, `untrained` whether a named architecture was built without weights (a module or a factory
    may bring its own). `cut_points` are the candidates for branches and `all_cut_points` all of them, in depth order.
    `memory_format` is the format for inference: channels last if the module runs in it and gives the same logits.
    """

    name: str
    weights: str
    module: nn.Module
    transform: Transform
    num_classes: int
    cut_points: tuple[CutPoint, ...]
    all_cut_points: tuple[CutPoint, ...]
    fresh_classifier: bool
    untrained: bool = False
    known_as: str = ""
    """The key of stored measurements; empty stands for the digest."""
    memory_format: torch.memory_format = INFERENCE

    def example(self, batch: int = 2) -> Tensor:
        """Return the transform's fixed batch [batch, *transform.shape] on the module's device."""
        return _example(self.module, self.transform, batch)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of a hash over name, transform, number of classes and the module's state.

        The state counts with name, dtype, shape and bytes of every tensor, and with the extra state.
        """
        total = hashlib.sha256(f"{self.name}\n{specs.digest(self.transform)}\n{self.num_classes}\n".encode())
        tensors, extra = split_state(self.module.state_dict())
        for key, value in sorted(tensors.items()):
            total.update(f"{key} {value.dtype} {list(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            total.update(flat.view(torch.uint8).numpy().data)
        if extra:
            total.update(to_text(extra).encode())
        return total.hexdigest()[:16]


def load_backbone(
    spec: BackboneSpec | str | nn.Module,
    *,
    num_classes: int,
    input_size: Size | None = None,
    inputs: InputSpec | None = None,
    trust_code: bool = False,
    relative_to: Path | None = None,
    listener: Listener | None = None,
) -> Backbone:
    """Build the backbone for a task of `num_classes` classes, and find its cut points.

    `inputs` are the task's. `input_size` is short for images of three channels and this size, one number or (height,
    width), for series of this length if the backbone takes series, and for texts of so many tokens. Without either, the
    backbone's own inputs are taken. A module is used as it is; its classifier is replaced in place if its number of
    classes differs. Weights that are not loaded are initialised from torch's random state. Raises BackboneError for an
    unknown name (with the nearest ones) or unsuitable inputs, WeightsError for weights that do not fit, CutError for a
    backbone without cut points, and PluginError for the user's code without `trust_code`.
    """
    notify = listener or silent
    if num_classes < 2:
        raise BackboneError(f"a backbone needs at least 2 classes, got {num_classes}")
    is_assumed = inputs is None
    if inputs is None:
        inputs = inputs_at(spec if isinstance(spec, str) else getattr(spec, "name", ""), input_size)
    if isinstance(spec, nn.Module):
        name = f"module:{type(spec).__qualname__}"
        spec = _of_graphs(python_module(spec, name), inputs, name)
        transform: Transform = user_transform(spec, inputs, name, input_size=input_size, is_assumed=is_assumed)
        load_kind({"kind": transform.inputs.kind}, trust_code=True, relative_to=relative_to)  # its code has run
        initialise(spec, _example(spec, transform, 2))
        spec = with_one_output(spec, _example(spec, transform, 2), num_classes, name, notify)
        spec = with_logits(spec, _example(spec, transform, 2), name, notify)
        return _finish(spec, transform, BackboneSpec(name, weights="own"), num_classes, fresh=False, notify=notify)
    if isinstance(spec, str):
        spec = BackboneSpec(spec)
    kind, bare = read_name(spec.name)
    pretrained = spec.weights == "pretrained"
    if pretrained and kind in ("own", "code"):
        raise no_published_weights(spec.name)
    file = find_weights(spec.weights, relative_to) if spec.weights not in ("none", "pretrained") else None
    state = read_weights(file, notify) if file is not None else None
    check_kind(spec.name, kind, inputs)
    parts: HfParts | None = None
    channels = inputs.channels or 3
    size = size_of(inputs)
    wanted = spec.channels if spec.channels is not None else None if channels in (1, 3) else channels
    if kind == "own":
        module, transform = build_own(bare, num_classes, inputs)
    elif kind == "timm":
        module, transform = build_timm(bare, num_classes, size, pretrained=pretrained, wanted_channels=wanted)
    elif kind == "torchvision":
        module, transform = build_torchvision(bare, num_classes, size, pretrained=pretrained, wanted_channels=wanted)
    elif kind == "hf":
        parts = build_hf(
            bare,
            HfWish(
                num_classes=num_classes,
                max_length=spec.max_length,
                length=length_of(spec.name, input_size),
                needs_weights=pretrained,
                trust_code=trust_code,
                relative_to=relative_to,
            ),
        )
        module, transform = parts.module, parts.transform
    else:
        factory = load_object(bare, trust_code=trust_code, relative_to=relative_to)
        module = _of_graphs(python_module(call_factory(factory, num_classes, spec.name), spec.name), inputs, spec.name)
        given = image_input(size, spec.channels or channels) if inputs.kind == "images" else inputs
        transform = user_transform(module, given, spec.name, input_size=input_size, is_assumed=is_assumed)
    taken = transform.inputs.channels
    if spec.channels not in (None, taken):
        raise BackboneError(f"{spec.name}: takes {taken} channels, got backbone.channels = {spec.channels}")
    if spec.max_length is not None:
        transform = with_max_length(transform, spec.max_length, spec.name)
    transform = transform.stated(_numbers(spec.mean), _numbers(spec.std))
    load_kind({"kind": transform.inputs.kind}, trust_code=trust_code, relative_to=relative_to)
    initialise(module, _example(module, transform, 2))
    if kind == "code":
        module = with_one_output(module, _example(module, transform, 2), num_classes, spec.name, notify)
    module = with_logits(module, _example(module, transform, 2), spec.name, notify)
    fresh = False
    if state is not None:
        example = _example(module, transform, 2)
        count_classes(module, example, spec.name)  # report an unsuitable input size before unsuitable weights
        head = find_classifier(module, example)
        fresh = not load_weights(module, state, classifier=head, source=spec.weights, listener=notify)
    elif parts is not None:
        fresh = parts.fresh
        if parts.untrained:
            notify(Notice(f"{spec.name}: has no weights, so it starts untrained"))
        elif fresh:
            notify(Notice(f"{spec.name}: its classifier starts untrained"))
    elif pretrained:
        published = getattr(module, "pretrained_cfg", {}).get("num_classes", num_classes) if kind == "timm" else None
        fresh = published not in (None, num_classes)
        if fresh:
            notify(Notice(f"{spec.name}: pretrained for {published} classes; the classifier starts untrained"))
    elif kind == "code":
        notify(Notice(f"{spec.name}: weights none, so it starts as its factory built it (--weights PATH loads a file)"))
    else:
        fresh = True
        notify(Notice(f"{spec.name}: weights none, so it starts untrained (--weights pretrained or PATH loads some)"))
    untrained = parts.untrained if parts is not None else spec.weights == "none" and kind != "code"
    found = _finish(module, transform, spec, num_classes, fresh=fresh, notify=notify)
    return replace(found, untrained=untrained)


def choose_cut_points(found: tuple[CutPoint, ...], wanted: str | tuple[str, ...], label: str) -> tuple[CutPoint, ...]:
    """Return the cut points that branches may use, in depth order: "blocks" (all if no block ends), "all", or names.

    `label` names the backbone in messages. Raises CutError for an unknown name, with the nearest ones.
    """
    if wanted == "all":
        return found
    if wanted == "blocks":
        return tuple(point for point in found if point.block_end) or found
    names = (wanted,) if isinstance(wanted, str) else wanted
    known = [point.name for point in found]
    for name in names:
        if name not in known:
            options = [*known, "blocks", "all"] if isinstance(wanted, str) else known
            raise CutError(
                f"{label}: {name!r} is not a cut point; {nearest(name, options)}; `eenas backbone` lists them; "
                'cut_points may also be "blocks" or "all"'
            )
    return tuple(point for point in found if point.name in names)


def _finish(
    module: nn.Module,
    transform: Transform,
    spec: BackboneSpec,
    num_classes: int,
    *,
    fresh: bool,
    notify: Listener,
) -> Backbone:
    """Adapt the module to the number of classes, check it, find its cut points and choose among them."""
    name, example = spec.name, _example(module, transform, 2)
    classes = count_classes(module, example, name)
    if classes != num_classes:
        replace_classifier(module, num_classes, example, name)
        fresh = True
        notify(
            Notice(f"{name}: its classifier for {classes} classes was replaced by an untrained one for {num_classes}")
        )
    check_extra_state(module, name)
    check_independence(module, example, name)
    found = cut_points_of(module, example, name, notify)
    return Backbone(
        name=name,
        weights=spec.weights,
        module=module,
        transform=transform,
        num_classes=num_classes,
        cut_points=choose_cut_points(found, spec.cut_points, name),
        all_cut_points=found,
        fresh_classifier=fresh,
        memory_format=format_of(module, example),
    )


def _of_graphs(module: nn.Module, inputs: InputSpec, label: str) -> nn.Module:
    """Return a user's network for graphs in packed parts; other modules are returned unchanged."""
    return split_graphs(module, inputs, label) if inputs.kind == "graphs" and takes_graphs(module) else module


def _numbers(given: float | tuple[float, ...] | None) -> tuple[float, ...] | None:
    return (given,) if isinstance(given, int | float) else given


def _example(module: nn.Module, transform: Transform, batch: int) -> Tensor:
    """Return the transform's example on the module's device."""
    try:
        values = transform.example(batch)
    except RuntimeError:  # out of memory; the inputs say more than the allocator's message
        raise BackboneError(
            f"{transform.inputs} do not fit into memory; set a smaller task.input_size, or give shorter series"
        ) from None
    place = next(module.parameters(), None)
    return values if place is None else values.to(place.device)

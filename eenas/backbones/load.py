"""A backbone by name or as a module: the network, its transform, its weights and its cut points."""

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
from eenas.backbones.extra_state import check_extra_state, parted, to_text
from eenas.backbones.independence import check_independence
from eenas.backbones.memory_format import INFERENCE, format_of
from eenas.backbones.models.names import read_name
from eenas.backbones.models.own_models import build_own
from eenas.backbones.models.timm_models import build_timm
from eenas.backbones.models.torchvision_models import build_torchvision
from eenas.backbones.models.user_models import call_factory, python_module, user_transform
from eenas.backbones.outputs import with_one_output
from eenas.backbones.probabilities import with_logits
from eenas.backbones.transform import InputTransform, with_statistics
from eenas.backbones.weights.weights import find_weights, load_weights, no_published_weights, read_weights
from eenas.errors import BackboneError, CutError, SpecError, nearest
from eenas.progress import Listener, Notice, silent
from eenas.tasks.images.frame import Size, canonical_size, sides_of, size_text
from eenas.user_code import load_object


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone as a study names it.

    `name`: a name of timm, `torchvision:NAME`, one of eenas's own, `package.module:factory` or `./file.py:factory`.
    `weights`: "none", "pretrained" or the path of a file. `cut_points`: which ones branches may use: "blocks" (the
    ends of blocks), "all", or names. `channels` are those of its input, and `mean` and `std` what is taken from pixels
    in [0, 1] and what they are divided by (one number, or one for each channel); None is the backbone's own word, where
    a named one is made for the channels of a task that has neither 1 nor 3.
    """

    name: str
    _: KW_ONLY
    weights: str = "none"
    cut_points: str | tuple[str, ...] = "blocks"
    channels: int | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse empty values."""
        if not self.name or not self.weights or not self.cut_points:
            raise SpecError(f"name, weights and cut_points of a backbone must not be empty, got {self}")
        if self.channels is not None and self.channels < 1:
            raise SpecError(f"channels of a backbone must be at least 1, got {self.channels}")


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network for a task, with the transform that belongs to it.

    `module` takes [N, channels, H, W] and gives logits [N, num_classes]; it is the very module that trains. `weights`
    is what the specification says, or "own" for a module given from Python. `fresh_classifier` says that the
    classifier's weights were not loaded, `untrained` that no weights were loaded into a named architecture (a module or
    a factory may bring some). `cut_points` are the candidates for branches, `all_cut_points` every one, in
    depth order. `memory_format` is that of inference: channels last where the module runs so and gives the same.
    """

    name: str
    weights: str
    module: nn.Module
    transform: InputTransform
    num_classes: int
    cut_points: tuple[CutPoint, ...]
    all_cut_points: tuple[CutPoint, ...]
    fresh_classifier: bool
    untrained: bool = False
    known_as: str = ""
    """What measurements are kept under, by default the digest."""
    memory_format: torch.memory_format = INFERENCE

    def example(self, batch: int = 2) -> Tensor:
        """A batch float32 [batch, channels, H, W] of standard normal values, always the same, where the module is."""
        return _example(self.module, self.transform, batch)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over name, transform, classes and all that the module's state holds.

        Of every tensor these are name, type, shape and bytes.
        """
        total = hashlib.sha256(f"{self.name}\n{specs.digest(self.transform)}\n{self.num_classes}\n".encode())
        tensors, extra = parted(self.module.state_dict())
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
    channels: int = 3,
    trust_code: bool = False,
    relative_to: Path | None = None,
    listener: Listener | None = None,
) -> Backbone:
    """Build the backbone for a task of `num_classes` classes, and find its cut points.

    `input_size` in pixels, one number or (height, width), defaults to the backbone's own; `channels` are the task's,
    for modules that do not tell theirs and for named ones where they are neither 1 nor 3. A module is used as it is,
    and changed in place only where its number of classes differs. What was not loaded is initialised from torch's
    random state. Raises BackboneError (unknown name with the nearest ones, a size it cannot take), WeightsError,
    CutError and, for the user's code without `trust_code`, PluginError.
    """
    notify = listener or silent
    if num_classes < 2:
        raise BackboneError(f"a backbone needs at least 2 classes, got {num_classes}")
    if input_size is not None:
        try:
            input_size = canonical_size(input_size)
        except ValueError as error:
            raise BackboneError(f"the input size must be positive: {error}") from None
    if isinstance(spec, nn.Module):
        name = f"module:{type(spec).__qualname__}"
        spec = python_module(spec, name)
        transform = user_transform(spec, input_size, channels, name)
        initialise(spec, _example(spec, transform, 2))
        spec = with_one_output(spec, _example(spec, transform, 2), num_classes, name, notify)
        spec = with_logits(spec, _example(spec, transform, 2), name, notify)
        return _finish(spec, transform, name, "own", "blocks", num_classes, fresh=False, notify=notify)
    if isinstance(spec, str):
        spec = BackboneSpec(spec)
    kind, bare = read_name(spec.name)
    pretrained = spec.weights == "pretrained"
    if pretrained and kind in ("own", "code"):
        raise no_published_weights(spec.name)
    file = find_weights(spec.weights, relative_to) if spec.weights not in ("none", "pretrained") else None
    state = read_weights(file, notify) if file is not None else None
    wanted = spec.channels if spec.channels is not None else None if channels in (1, 3) else channels
    if kind == "own":
        module, transform = build_own(bare, num_classes, input_size)
    elif kind == "timm":
        module, transform = build_timm(bare, num_classes, input_size, pretrained=pretrained, wanted_channels=wanted)
    elif kind == "torchvision":
        module, transform = build_torchvision(
            bare, num_classes, input_size, pretrained=pretrained, wanted_channels=wanted
        )
    else:
        factory = load_object(bare, trust_code=trust_code, relative_to=relative_to)
        module = python_module(call_factory(factory, num_classes, spec.name), spec.name)
        transform = user_transform(module, input_size, spec.channels or channels, spec.name)
    if spec.channels not in (None, transform.channels):
        raise BackboneError(
            f"{spec.name}: takes {transform.channels} channels, got backbone.channels = {spec.channels}"
        )
    transform = with_statistics(transform, transform.channels, _numbers(spec.mean), _numbers(spec.std))
    initialise(module, _example(module, transform, 2))
    if kind == "code":
        module = with_one_output(module, _example(module, transform, 2), num_classes, spec.name, notify)
    module = with_logits(module, _example(module, transform, 2), spec.name, notify)
    fresh = False
    if state is not None:
        example = _example(module, transform, 2)
        count_classes(module, example, spec.name)  # a size that the model cannot take is the first thing to say
        head = find_classifier(module, example)
        fresh = not load_weights(module, state, classifier=head, source=spec.weights, listener=notify)
    elif pretrained:
        published = getattr(module, "pretrained_cfg", {}).get("num_classes", num_classes) if kind == "timm" else None
        fresh = published not in (None, num_classes)
        if fresh:
            notify(Notice(f"{spec.name}: published for {published} classes; the classifier starts untrained"))
    elif kind == "code":
        notify(Notice(f"{spec.name}: weights none, so it starts as its factory made it (--weights PATH loads a file)"))
    else:
        fresh = True
        notify(Notice(f"{spec.name}: weights none, so it starts untrained (--weights pretrained or PATH loads some)"))
    untrained = spec.weights == "none" and kind != "code"
    found = _finish(
        module, transform, spec.name, spec.weights, spec.cut_points, num_classes, fresh=fresh, notify=notify
    )
    return replace(found, untrained=untrained)


def choose_cut_points(found: tuple[CutPoint, ...], wanted: str | tuple[str, ...], what: str) -> tuple[CutPoint, ...]:
    """The cut points that branches may use, in depth order: block ends (all where there are none), all, or by name.

    Raises CutError for a name that is no cut point, with the nearest ones.
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
                f"{what}: {name!r} is no cut point; {nearest(name, options)}; `eenas backbone` lists them, and "
                'cut_points may also be "blocks" or "all"'
            )
    return tuple(point for point in found if point.name in names)


def _finish(
    module: nn.Module,
    transform: InputTransform,
    name: str,
    weights: str,
    wanted: str | tuple[str, ...],
    num_classes: int,
    *,
    fresh: bool,
    notify: Listener,
) -> Backbone:
    """Give the module the task's classes, find its cut points and choose among them."""
    example = _example(module, transform, 2)
    classes = count_classes(module, example, name)
    if classes != num_classes:
        replace_classifier(module, num_classes, example, name)
        fresh = True
        notify(Notice(f"{name}: its classifier of {classes} classes was replaced by an untrained one of {num_classes}"))
    check_extra_state(module, name)
    check_independence(module, example, name)
    found = cut_points_of(module, example, name, notify)
    return Backbone(
        name=name,
        weights=weights,
        module=module,
        transform=transform,
        num_classes=num_classes,
        cut_points=choose_cut_points(found, wanted, name),
        all_cut_points=found,
        fresh_classifier=fresh,
        memory_format=format_of(module, example),
    )


def _numbers(given: float | tuple[float, ...] | None) -> tuple[float, ...] | None:
    return (given,) if isinstance(given, int | float) else given


def _example(module: nn.Module, transform: InputTransform, batch: int) -> Tensor:
    """Drawn on the CPU with its own generator, so that no other random state moves."""
    generator = torch.Generator().manual_seed(0)
    try:
        values = torch.randn(batch, *transform.shape, generator=generator)
    except RuntimeError:  # the allocator's; the numbers that it names say less than the size
        size = size_text(sides_of(transform.size))
        raise BackboneError(f"images of {size} pixels do not fit into memory; set task.input_size") from None
    place = next(module.parameters(), None)
    return values if place is None else values.to(place.device)

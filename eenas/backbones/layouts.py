"""The layout of maps and the order of tokens at cut points, measured or declared by the network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.carried import CarryingModule
from eenas.backbones.classifier import evaluating
from eenas.backbones.copies import copy_of
from eenas.backbones.dominators import Place, place_of
from eenas.backbones.features import FeatureShape
from eenas.backbones.graphs.packed_module import first_packed
from eenas.faults import raise_shortage

Layout = Literal["first", "last"]
"""The position of the channels: [N, C, H, W] or [N, H, W, C] for maps, [N, C, L] (series) or [N, L, D] (tokens)."""

_MOST_PREFIX = 5  # a class token and the four registers of some vision transformers
_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.PixelShuffle, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.LocalResponseNorm),
)
_FIRST_OF_SERIES = (
    *(nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.GroupNorm, nn.InstanceNorm1d, nn.Dropout1d, nn.Upsample),
    *(nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
)


class LayoutHints:
    """The layouts of the layers that write and read a tensor, by its place in the autograd graph."""

    def __init__(self) -> None:
        self._layouts: dict[Place, set[Layout]] = {}

    def note(self, part: nn.Module, inputs: Any, output: Any) -> None:
        """Record the layout of a layer's input and output. A forward hook for every module."""
        for tensor in (inputs[0] if inputs else None, output):
            if isinstance(tensor, Tensor) and tensor.ndim in (3, 4) and tensor.grad_fn is not None:
                layout = _layout_of(part, _FIRST if tensor.ndim == 4 else _FIRST_OF_SERIES)
                if layout is not None:
                    self._layouts.setdefault(place_of(tensor), set()).add(layout)

    def of(self, tensor: Tensor) -> Layout | None:
        """Return the layout of the tensor if its layers agree on one, else None."""
        layouts = self._layouts.get(place_of(tensor), set())
        return next(iter(layouts)) if len(layouts) == 1 else None


def _layout_of(part: nn.Module, first: tuple[type[nn.Module], ...]) -> Layout | None:
    """Return the layout that a layer works in. A layer norm or Linear named "...2d" permutes its input itself."""
    if isinstance(part, first):
        return "first"
    if isinstance(part, nn.Linear) or (isinstance(part, nn.LayerNorm) and len(part.normalized_shape) == 1):
        return "first" if "2d" in type(part).__name__.lower() else "last"
    return None


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """A forward pass: its input (a leaf of the graph, None for integers), its logits and its layers' layouts."""

    inputs: Tensor | None
    logits: Tensor
    hints: LayoutHints


def read_shapes(
    named: Sequence[tuple[str, Tensor]], module: nn.Module, example: Tensor, forward_pass: ForwardPass
) -> list[FeatureShape | None]:
    """Return the shape of each tensor [N, ...] in `named`, which holds (module name, output) in depth order.

    `example` [N, ...] is the input of `forward_pass`. The layout of a map is found by the first of these that tells it:
    two sizes of input, the layers that write or read the map, the module's own declaration, the proportions of the
    image, an earlier map of the same dimensions. None stands for a map with an unknown layout. For a
    series input [N, C, L], two lengths of it tell series from tokens, otherwise the layers do.
    """
    if (packed := first_packed(module)) is not None:
        columns = example.shape[2] - packed.inputs
        sizes = [(tuple(tensor.shape[1:]), tensor.ndim == 3) for _, tensor in named]
        return [FeatureShape(dims, carried=columns * of_nodes, is_set=of_nodes) for dims, of_nodes in sizes]
    image = tuple(example.shape[2:]) if example.ndim == 4 else None
    maps = [name for name, tensor in named if tensor.ndim == 4]
    elsewhere = _at_another_size(module, example, maps) if maps and image is not None else {}
    longer = _at_another_length(module, example, [name for name, tensor in named if tensor.ndim == 3])
    sequences = [tensor for _, tensor in named if tensor.ndim == 3]
    tokens = {} if image is None else _tokens(sequences, module, image, forward_pass)
    known: dict[tuple[int, ...], Layout] = {}
    shapes: list[FeatureShape | None] = []
    for name, tensor in named:
        dims = tuple(tensor.shape[1:])
        if len(dims) == 3:
            layout = (
                _measured(dims, elsewhere.get(name))
                or forward_pass.hints.of(tensor)
                or _declared(module, name)
                or _by_proportion(dims, image)
                or known.get(dims)
            )
            if layout is not None:
                known[dims] = layout
            shapes.append(None if layout is None else FeatureShape(dims, channels_last=layout == "last"))
        else:
            hint = forward_pass.hints.of(tensor) if example.ndim == 3 else None
            layout = _grown(dims, longer.get(name)) or hint
            is_series = len(dims) == 2 and example.ndim == 3 and layout == "first"
            shapes.append(tokens[tensor].shape(dims) if tensor in tokens else FeatureShape(dims, is_series=is_series))
    return shapes


def carried_shapes(
    named: Sequence[tuple[Tensor, Tensor | None]], carrier: CarryingModule, forward_pass: ForwardPass
) -> list[FeatureShape | None]:
    """Return the shapes of what travels from the cut points of a `CarryingModule`, in depth order.

    `named` holds the features and the tensor that travels with them, None if they cannot be packed. The first token is
    a class token if the logits read only it of the last cut point with tokens.
    """
    tokens = [features for features, _ in named if carrier.packs(features) and features.ndim == 3]
    class_token = bool(tokens) and _read_tokens(tokens[-1], forward_pass) == [0]
    return [
        None
        if travelling is None
        else carrier.feature_shape(tuple(travelling.shape[1:]), class_token=class_token)
        if carrier.packs(features)
        else FeatureShape(tuple(travelling.shape[1:]))
        for features, travelling in named
    ]


def _at_another_length(module: nn.Module, example: Tensor, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the dimensions of modules' outputs for series [N, C, L] of twice the length; {} if it does not run."""
    if example.ndim != 3 or not example.is_floating_point() or not names:
        return {}
    return _dimensions(module, torch.cat([example[:1], example[:1]], dim=2), names) or {}


def _grown(dims: tuple[int, ...], other: tuple[int, ...] | None) -> Layout | None:
    """Return the layout of features that are `dims` (two) for one length of a series and `other` for a longer one."""
    if len(dims) != 2 or other is None or len(other) != 2:
        return None
    first, last = (a != b for a, b in zip(dims, other, strict=True))
    return None if first == last else "first" if last else "last"


def _at_another_size(module: nn.Module, example: Tensor, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the output dimensions of the modules `names` for larger images; {} if the network runs on none."""
    height, width = example.shape[2:]
    for taller, wider in ((height + 32, width + 64), (height + 32, width + 32), (2 * height, 2 * width)):
        found = _dimensions(module, functional.interpolate(example[:1], (taller, wider)), names)
        if found is not None:
            return found
    return {}


def _dimensions(module: nn.Module, example: Tensor, names: Sequence[str]) -> dict[str, tuple[int, ...]] | None:
    """Return the dimensions of modules' outputs for another input; None if the module does not run on it."""
    copied = copy_of(module)
    parts = dict(copied.named_modules())
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        parts[name].register_forward_hook(partial(_note_shape, found, name))
    try:
        with evaluating(copied):
            copied(example)
    except Exception as error:  # a user's module may raise anything
        raise_shortage(error)
        return None
    return found


def _note_shape(found: dict[str, tuple[int, ...]], name: str, part: nn.Module, inputs: Any, output: Any) -> None:
    if isinstance(output, Tensor):
        found[name] = tuple(output.shape[1:])


def _measured(dims: tuple[int, ...], other: tuple[int, ...] | None) -> Layout | None:
    """Return the layout of a map that has dimensions `dims` for one image size and `other` for a larger one."""
    if other is None or len(other) != 3:
        return None
    grown = tuple(a != b for a, b in zip(dims, other, strict=True))
    if grown[2] and not grown[0]:
        return "first"
    return "last" if grown[0] and not grown[2] else None


def _declared(module: nn.Module, name: str) -> Layout | None:
    """Return the layout that the innermost module around `name` declares (timm's `output_fmt`)."""
    parts = name.split(".")
    for count in range(len(parts), -1, -1):
        inner = module.get_submodule(".".join(parts[:count]))
        text = getattr(inner, "output_fmt", None)
        if isinstance(text, str) and text.upper() in ("NHWC", "NCHW"):
            return "last" if text.upper() == "NHWC" else "first"
    return None


def _by_proportion(dims: tuple[int, ...], image: tuple[int, ...] | None) -> Layout | None:
    """Return the layout that gives the map the image's proportions, if only one of the two does."""
    height, width = image or (1, 1)
    first, last = (a * width == b * height for a, b in (dims[1:], dims[:2]))
    if first == last:
        return None
    return "first" if first else "last"


@dataclass(frozen=True)
class _Tokens:
    """Prefix tokens, class token and grid of a sequence of tokens."""

    prefix: int
    class_token: bool
    grid: tuple[int, int] | None

    def shape(self, dims: tuple[int, ...]) -> FeatureShape:
        return FeatureShape(
            dims, prefix_tokens=self.prefix, class_token=self.class_token, grid=self.grid, is_set=self.grid is None
        )


def _tokens(
    tensors: Sequence[Tensor], module: nn.Module, image: tuple[int, ...], forward_pass: ForwardPass
) -> Mapping[Tensor, _Tokens]:
    """Return prefix, class token and grid of each tensor of tokens, found from all tensors of the same length.

    The first two tensors show the order of the patches: a network may reorder them after the first, and later ones
    mix the patches. The last tensor shows which tokens the logits read; from the earlier ones they depend on all.
    """
    found: dict[Tensor, _Tokens] = {}
    for length in dict.fromkeys(tensor.shape[1] for tensor in tensors):
        alike = [tensor for tensor in tensors if tensor.shape[1] == length]
        prefix, grid = _patches(length, module, image)
        read = _read_tokens(alike[-1], forward_pass)
        class_token = prefix > 0 and bool(read) and max(read) < prefix
        for position, tensor in enumerate(alike):
            if position < 2 and grid is not None:
                grid = grid if _in_raster_order(tensor, prefix, grid, forward_pass) else None
            found[tensor] = _Tokens(prefix, class_token, grid)
    return found


def _patches(length: int, module: nn.Module, image: tuple[int, ...]) -> tuple[int, tuple[int, int] | None]:
    """Return the number of prefix tokens, and the grid of the other tokens (None if no grid fits the image)."""
    told = getattr(module, "num_prefix_tokens", None)
    options = [told] if isinstance(told, int) and 0 <= told < length else []
    for prefix in [*options, *range(_MOST_PREFIX + 1)]:
        patches = length - prefix
        rows = round(math.sqrt(patches * image[0] / image[1])) if patches > 0 else 0
        if rows and patches % rows == 0 and _alike(rows, patches // rows, image) and (patches > 1 or not prefix):
            return prefix, (rows, patches // rows)
    return 0, None


def _alike(rows: int, columns: int, image: tuple[int, ...]) -> bool:
    """Whether square patches give so many rows and columns, the last of a row possibly cut off."""
    sides = [image[0] / rows, image[1] / columns]
    return max(sides) < 1.2 * min(sides) and (image[0] != image[1] or rows == columns)


def _read_tokens(tensor: Tensor, forward_pass: ForwardPass) -> list[int]:
    """Return the tokens on which the logits depend; none without a gradient."""
    try:
        (gradient,) = torch.autograd.grad(_mixed(forward_pass.logits), tensor, retain_graph=True, allow_unused=True)
    except RuntimeError:  # an in-place operation changed a tensor that the gradient needs
        return []
    return [] if gradient is None else gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist()


def _in_raster_order(tensor: Tensor, prefix: int, grid: tuple[int, int], forward_pass: ForwardPass) -> bool:
    """Whether tokens are in row-major order: of a few tokens, all but one at most depend most on their own patch."""
    rows, columns = grid
    if forward_pass.inputs is None or (rows, columns) == (1, 1):
        return (rows, columns) == (1, 1)
    cells = [(0, columns - 1), (rows - 1, 0), (rows // 2, columns // 2), (0, columns // 2), (rows // 2, 0)]
    cells = list(dict.fromkeys(cells))
    apart: list[int] = []
    for row, column in cells:
        token = tensor[:, prefix + row * columns + column]
        try:
            (gradient,) = torch.autograd.grad(_mixed(token), forward_pass.inputs, retain_graph=True, allow_unused=True)
        except RuntimeError:  # as above
            return False
        if gradient is None:
            return False
        felt = functional.adaptive_avg_pool2d(gradient.abs().sum(dim=(0, 1))[None, None], grid).flatten()
        most = int(felt.argmax())
        apart.append(max(abs(most // columns - row), abs(most % columns - column)))
    # the windows of a stem may be centred beside the patches, by the same offset for all tokens
    return sum(map(bool, apart)) <= len(apart) // 4 or (min(rows, columns) > 3 and max(apart) <= 1)


def _mixed(values: Tensor) -> Tensor:
    """Return a sum with random weights, since a normalisation makes a plain sum constant."""
    generator = torch.Generator().manual_seed(0)
    return (values * torch.randn(values.shape, generator=generator).to(values)).sum()

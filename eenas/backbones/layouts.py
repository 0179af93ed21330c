"""How to read what flows through cut points: the layout of maps and the order of tokens, measured and asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from eenas.backbones.classifier import evaluating
from eenas.backbones.copies import copy_of
from eenas.backbones.dominators import Place, place_of
from eenas.backbones.features import FeatureShape

Layout = Literal["first", "last"]
"""Where the channels of a map are: [N, C, H, W] or [N, H, W, C]."""

_MOST_PREFIX = 5  # a class token, and the four registers that vision transformers have
_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.PixelShuffle, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.LocalResponseNorm),
)


class Readers:
    """What the layers that make and read a tensor say of its layout, by its place in the autograd graph."""

    def __init__(self) -> None:
        self._said: dict[Place, set[Layout]] = {}

    def note(self, part: nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook for every module."""
        layout = _layout_of(part)
        for tensor in (inputs[0] if inputs else None, output) if layout is not None else ():
            if isinstance(tensor, Tensor) and tensor.ndim == 4 and tensor.grad_fn is not None:
                self._said.setdefault(place_of(tensor), set()).add(layout)  # type: ignore[arg-type]

    def of(self, tensor: Tensor) -> Layout | None:
        """The layout on which all agree, None where nobody says any."""
        said = self._said.get(place_of(tensor), set())
        return next(iter(said)) if len(said) == 1 else None


def _layout_of(part: nn.Module) -> Layout | None:
    """The layout that a layer works in; a norm of the last dimension whose name ends in 2d permutes by itself."""
    if isinstance(part, _FIRST):
        return "first"
    if isinstance(part, nn.Linear) or (isinstance(part, nn.LayerNorm) and len(part.normalized_shape) == 1):
        return "first" if "2d" in type(part).__name__.lower() else "last"
    return None


@dataclass(frozen=True, eq=False)
class Seen:
    """A pass of images: its input (a leaf of the graph, None for integers), its logits, and what layers said."""

    inputs: Tensor | None
    logits: Tensor
    readers: Readers


def read_shapes(
    named: Sequence[tuple[str, Tensor]], module: nn.Module, example: Tensor, seen: Seen
) -> list[FeatureShape | None]:
    """The shape of each tensor [N, ...] by the name of the module that gave it, in depth order.

    None stands for a map whose layout nobody knows: two sizes of input tell it, else the layers that make or read it,
    then the module is asked, then its proportions, then a map of the same dimensions before it. `example` [N, ...] is
    what the pass was made with.
    """
    image = tuple(example.shape[2:]) if example.ndim == 4 else None
    maps = [name for name, tensor in named if tensor.ndim == 4]
    elsewhere = _at_another_size(module, example, maps) if maps and image is not None else {}
    tokens = {} if image is None else _tokens([tensor for _, tensor in named if tensor.ndim == 3], module, image, seen)
    known: dict[tuple[int, ...], Layout] = {}
    shapes: list[FeatureShape | None] = []
    for name, tensor in named:
        dims = tuple(tensor.shape[1:])
        if len(dims) == 3:
            layout = (
                _measured(dims, elsewhere.get(name))
                or seen.readers.of(tensor)
                or _asked(module, name)
                or _by_proportion(dims, image)
                or known.get(dims)
            )
            if layout is not None:
                known[dims] = layout
            shapes.append(None if layout is None else FeatureShape(dims, channels_last=layout == "last"))
        else:
            shapes.append(tokens[tensor].shape(dims) if tensor in tokens else FeatureShape(dims))
    return shapes


def _at_another_size(module: nn.Module, example: Tensor, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The dimensions that modules give for larger images, where the module runs on some; {} where it does not."""
    height, width = example.shape[2:]
    for taller, wider in ((height + 32, width + 64), (height + 32, width + 32), (2 * height, 2 * width)):
        copied = copy_of(module)
        parts = dict(copied.named_modules())
        found: dict[str, tuple[int, ...]] = {}
        for name in names:
            parts[name].register_forward_hook(partial(_note_shape, found, name))
        try:
            with evaluating(copied):
                copied(functional.interpolate(example[:1], (taller, wider)))
        except Exception:  # whatever a module raises for images of another size
            continue
        return found
    return {}


def _note_shape(found: dict[str, tuple[int, ...]], name: str, part: nn.Module, inputs: Any, output: Any) -> None:
    if isinstance(output, Tensor):
        found[name] = tuple(output.shape[1:])


def _measured(dims: tuple[int, ...], other: tuple[int, ...] | None) -> Layout | None:
    """The layout of a map that is `dims` for one size of input and `other` for a larger one."""
    if other is None or len(other) != 3:
        return None
    grown = tuple(a != b for a, b in zip(dims, other, strict=True))
    if grown[2] and not grown[0]:
        return "first"
    return "last" if grown[0] and not grown[2] else None


def _asked(module: nn.Module, name: str) -> Layout | None:
    """The word of the module itself (timm's `output_fmt`), or of the innermost one around `name` that has one."""
    parts = name.split(".")
    for count in range(len(parts), -1, -1):
        inner = module.get_submodule(".".join(parts[:count]))
        text = getattr(inner, "output_fmt", None)
        if isinstance(text, str) and text.upper() in ("NHWC", "NCHW"):
            return "last" if text.upper() == "NHWC" else "first"
    return None


def _by_proportion(dims: tuple[int, ...], image: tuple[int, ...] | None) -> Layout | None:
    """The reading of three dimensions that has the proportions of the image, where the other has not."""
    height, width = image or (1, 1)
    first, last = (a * width == b * height for a, b in (dims[1:], dims[:2]))
    if first == last:
        return None
    return "first" if first else "last"


@dataclass(frozen=True)
class _Tokens:
    """What is known of some tokens."""

    prefix: int
    class_token: bool
    grid: tuple[int, int] | None

    def shape(self, dims: tuple[int, ...]) -> FeatureShape:
        return FeatureShape(
            dims, prefix_tokens=self.prefix, class_token=self.class_token, grid=self.grid, is_set=self.grid is None
        )


def _tokens(
    tensors: Sequence[Tensor], module: nn.Module, image: tuple[int, ...], seen: Seen
) -> Mapping[Tensor, _Tokens]:
    """What is known of each tensor of tokens, from those of its length.

    The first two tell which place of the image a token is (a network may reorder them behind the first; later ones have
    mixed the places), the last what is read of it (behind the others all is).
    """
    found: dict[Tensor, _Tokens] = {}
    for length in dict.fromkeys(tensor.shape[1] for tensor in tensors):
        alike = [tensor for tensor in tensors if tensor.shape[1] == length]
        prefix, grid = _patches(length, module, image)
        read = _read_tokens(alike[-1], seen)
        class_token = prefix > 0 and bool(read) and max(read) < prefix
        for position, tensor in enumerate(alike):
            if position < 2 and grid is not None:
                grid = grid if _in_raster_order(tensor, prefix, grid, seen) else None
            found[tensor] = _Tokens(prefix, class_token, grid)
    return found


def _patches(length: int, module: nn.Module, image: tuple[int, ...]) -> tuple[int, tuple[int, int] | None]:
    """How many of the tokens stand for no place of the image, and the rows and columns of the others, if they fit."""
    told = getattr(module, "num_prefix_tokens", None)
    options = [told] if isinstance(told, int) and 0 <= told < length else []
    for prefix in [*options, *range(_MOST_PREFIX + 1)]:
        patches = length - prefix
        rows = round(math.sqrt(patches * image[0] / image[1])) if patches > 0 else 0
        if rows and patches % rows == 0 and _alike(rows, patches // rows, image) and (patches > 1 or not prefix):
            return prefix, (rows, patches // rows)
    return 0, None


def _alike(rows: int, columns: int, image: tuple[int, ...]) -> bool:
    """Whether patches of one square size, the last of a row perhaps cut, make so many rows and columns."""
    sides = [image[0] / rows, image[1] / columns]
    return max(sides) < 1.2 * min(sides) and (image[0] != image[1] or rows == columns)


def _read_tokens(tensor: Tensor, seen: Seen) -> list[int]:
    """The tokens on which the logits depend; none where there is no gradient."""
    try:
        (gradient,) = torch.autograd.grad(_mixed(seen.logits), tensor, retain_graph=True, allow_unused=True)
    except RuntimeError:  # an operation in place changed what the gradient needs
        return []
    return [] if gradient is None else gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist()


def _in_raster_order(tensor: Tensor, prefix: int, grid: tuple[int, int], seen: Seen) -> bool:
    """Whether tokens go row by row: each of a few, one perhaps excepted, depends most on the image where it stands."""
    rows, columns = grid
    if seen.inputs is None or (rows, columns) == (1, 1):
        return (rows, columns) == (1, 1)
    cells = [(0, columns - 1), (rows - 1, 0), (rows // 2, columns // 2), (0, columns // 2), (rows // 2, 0)]
    cells = list(dict.fromkeys(cells))
    apart: list[int] = []
    for row, column in cells:
        token = tensor[:, prefix + row * columns + column]
        try:
            (gradient,) = torch.autograd.grad(_mixed(token), seen.inputs, retain_graph=True, allow_unused=True)
        except RuntimeError:  # as above
            return False
        if gradient is None:
            return False
        felt = functional.adaptive_avg_pool2d(gradient.abs().sum(dim=(0, 1))[None, None], grid).flatten()
        most = int(felt.argmax())
        apart.append(max(abs(most // columns - row), abs(most % columns - column)))
    # the middle of a stem's windows may lie beside that of its patch, for all tokens alike
    return sum(map(bool, apart)) <= len(apart) // 4 or (min(rows, columns) > 3 and max(apart) <= 1)


def _mixed(values: Tensor) -> Tensor:
    """A sum with weights that no normalisation takes to zero."""
    generator = torch.Generator().manual_seed(0)
    return (values * torch.randn(values.shape, generator=generator).to(values)).sum()

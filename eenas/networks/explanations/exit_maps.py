"""Maps of relevance: the places of an input that speak for a class, seen from the input of each exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from eenas.backbones.carried import Packer
from eenas.backbones.cut_points import find_cut_points
from eenas.backbones.features import FeatureShape
from eenas.backbones.outputs import main_output
from eenas.errors import InputError
from eenas.networks.network import EarlyExitNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class ExitMaps:
    """The maps of n samples at K exits.

    `maps` float32 `[n, K, *sides]` is in [0, 1] and has the height and width (or length) of the transformed inputs; a
    map without any evidence for the class is zero. `logits` float32 `[n, K, C]`. `places` names the module whose
    output each exit's map belongs to.
    """

    maps: Tensor
    logits: Tensor
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MapPlaces:
    """The modules of a backbone whose outputs have places, in depth order, with their shapes, and those of each exit.

    `of_exit` lists for each exit the modules to take a map from, the nearest to the exit first: for tokens also
    earlier ones, since a classifier that reads the class token alone has no gradient at the patches beside it.
    """

    shapes: Mapping[str, FeatureShape]
    of_exit: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, network: EarlyExitNetwork, x: Tensor) -> MapPlaces:
        """Find the places in a network for inputs like `x`. Raises InputError for an exit that has none."""
        points = find_cut_points(network.backbone, x[:2])
        order = {point.name: index for index, point in enumerate(points)}
        shapes = {point.name: point.shape for point in points if _has_places(point.shape)}
        found = []
        for name in network.exits:
            last = order.get(name, len(points))
            if name != network.final and name not in shapes:
                shape = next((str(point.shape.dims) for point in points if point.name == name), "a form unknown here")
                raise InputError(
                    f"the exit {name} reads {shape}, which has no places of the input; a map needs an exit at a cut "
                    "point with a map, a series or patches in order"
                )
            before = [each for each in shapes if order[each] <= last]
            if not before:
                raise InputError(f"no cut point before the exit {name} has places of the input, so it has no map")
            nearest = before[::-1]
            found.append(tuple(nearest if shapes[nearest[0]].kind == "tokens" else nearest[:1]))
        return cls(shapes=shapes, of_exit=tuple(found))

    @property
    def names(self) -> set[str]:
        """All modules whose outputs are needed."""
        return {name for several in self.of_exit for name in several}


def exit_maps(
    network: EarlyExitNetwork, x: Tensor, classes: Tensor | None = None, *, places: MapPlaces | None = None
) -> ExitMaps:
    """Return the maps of transformed samples `[n, ...]` for `classes` `[n]` (default: the answers of the last exit).

    For maps and series: Grad-CAM (Selvaraju et al. 2017) at the input of each exit, with the gradient of the class's
    logit at each place in the place of its mean over places (HiResCAM, Draelos and Carin 2020). Both are equal for a
    branch that averages over places; the mean is wrong for one that is not the same at every place, such as `fc`. The
    sum over channels of gradient times feature, where positive, is the map. The final exit's input is the last output
    of the backbone that has more than one place. For tokens: the norm of the gradient times the norm of each patch, at
    the nearest output where a patch has a gradient (attention maps are hidden in fused kernels). The maps are scaled to
    the maximum 1 and resized to the input. The network's mode, gradients and `requires_grad` do not change. `places`
    are those of the network, if known. Raises InputError for an exit without places.
    """
    was_training = network.training
    network.eval()
    try:
        places = MapPlaces.of(network, x) if places is None else places
        with torch.enable_grad():
            features, logits = _run(network, x, places.names)
            target = logits[-1].argmax(dim=1) if classes is None else classes.to(logits[-1].device)
            rows = [_map_of(places, k, features, one, target, x) for k, one in enumerate(logits)]
    finally:
        network.train(was_training)
    return ExitMaps(
        maps=torch.stack([found for found, _ in rows], dim=1).cpu(),
        logits=torch.stack([one.detach().float() for one in logits], dim=1).cpu(),
        places=tuple(place for _, place in rows),
    )


def _has_places(shape: FeatureShape) -> bool:
    if shape.kind == "tokens":
        return shape.patches is not None and shape.dims[0] - shape.prefix_tokens > 1
    return shape.kind in ("map", "series") and _count(shape) > 1


def _count(shape: FeatureShape) -> int:
    """The number of places of a map or series."""
    total = 1
    for size in shape.dims:
        total *= size
    return total // shape.channels


def _run(network: EarlyExitNetwork, x: Tensor, names: set[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return the outputs of modules in the graph, and the logits of every exit `[n, C]`, from one pass.

    Later modules get clones, since they may change their input in place.
    """
    features: dict[str, Tensor] = {}
    modules, branches = dict(network.backbone.named_modules()), set(network.branches.names)
    leaf = x.detach().clone().requires_grad_(x.is_floating_point())
    with ExitStack() as stack, Packer(network.backbone) as packer:
        for name in names | branches:
            stack.callback(modules[name].register_forward_hook(partial(_keep, features, name)).remove)
        features[network.final] = main_output(network.backbone(leaf * 1))
        packed = {name: packer(features[name]) for name in branches}
    logits: list[Tensor] = []
    for name in network.exits:
        previous = logits[-1].detach() if logits else None
        logits.append(network.exit_logits(name, packed.get(name, features[name]).clone(), previous))
    return features, logits


def _keep(features: dict[str, Tensor], name: str, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """The forward hook of a module."""
    features[name] = output
    return output.clone()


def _map_of(
    places: MapPlaces, k: int, features: Mapping[str, Tensor], logits: Tensor, target: Tensor, x: Tensor
) -> tuple[Tensor, str]:
    """Return the maps `[n, *sides]` of exit k and the module that they belong to."""
    names = places.of_exit[k]
    score = logits.gather(1, target[:, None]).sum()
    taken = [features[name] for name in names]
    gradients = torch.autograd.grad(score, taken, retain_graph=True, allow_unused=True)
    for name, feature, gradient in zip(names, taken, gradients, strict=True):
        if gradient is None:
            continue
        found = _relevance(feature.detach(), gradient, places.shapes[name])
        if found is not None:
            return _resized(found, x.shape[2:]), name
    return torch.zeros((len(x), *x.shape[2:]), device=x.device), names[0]


def _relevance(feature: Tensor, gradient: Tensor, shape: FeatureShape) -> Tensor | None:
    """Return the relevance `[n, *places]`; None for tokens whose patches have no gradient."""
    if shape.kind == "tokens":
        first, patches = shape.prefix_tokens, shape.patches
        assert patches is not None  # `_has_places`
        norm = gradient[:, first:].norm(dim=2)
        if not norm.any():
            return None
        relevance: Tensor = norm * feature[:, first:].norm(dim=2)
        return relevance.reshape(-1, *patches)
    if shape.channels_last:
        feature, gradient = feature.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    return (gradient * feature).sum(dim=1).clamp(min=0)


def _resized(found: Tensor, sides: Sequence[int]) -> Tensor:
    """Return relevance `[n, *places]` in the size of the input, with the maximum 1 where any is positive."""
    mode = "bilinear" if len(sides) == 2 else "linear"
    large = interpolate(found[:, None].float(), size=tuple(sides), mode=mode, align_corners=False)[:, 0]
    most = large.flatten(1).amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    return large / most.reshape(-1, *[1] * len(sides))

"""The parameters and modules of a backbone in the segment before each exit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eenas.backbones.copies import evaluated
from eenas.backbones.outputs import main_output
from eenas.networks.network import EarlyExitNetwork


@dataclass(frozen=True)
class SegmentNames:
    """The names of the backbone's parameters and modules between two cut points."""

    parameters: frozenset[str]
    modules: frozenset[str]


def segments(network: EarlyExitNetwork) -> tuple[SegmentNames, ...]:
    """Return the segment before each of K exits, found by one pass of two examples through a copy of the backbone.

    A parameter belongs to the first exit whose feature depends on it, whichever module owns it: position embeddings of
    a transformer are in the first segment. A module belongs to the segment in which it first runs, also if a later
    segment shares it. Parameters and modules that no exit needs are in no segment.
    """
    backbone = evaluated(network.backbone)
    backbone.requires_grad_(True)
    names = network.branches.names
    features: list[Tensor] = []
    begun: dict[str, int] = {}
    known = dict(backbone.named_modules())
    handles = [module.register_forward_pre_hook(_begins(begun, name, features)) for name, module in known.items()]
    handles += [known[name].register_forward_hook(_ends(features)) for name in names]
    parameter = next(backbone.parameters())
    example = network.transform.example(2).to(parameter.device)
    try:
        with torch.enable_grad():
            features.append(main_output(backbone(example)))
    finally:
        for handle in handles:
            handle.remove()
    reached = [_reached(feature, backbone) for feature in features]
    found, before = [], frozenset[str]()
    for k, parameters in enumerate(reached):
        inside = frozenset(name for name, segment in begun.items() if segment == k)
        found.append(SegmentNames(parameters - before, inside))
        before |= parameters
    return tuple(found)


def _begins(begun: dict[str, int], name: str, features: Sequence[Tensor]) -> Callable[..., None]:
    """Return a hook that records the segment in which the module `name` first runs."""

    def note(module: nn.Module, inputs: object) -> None:
        begun.setdefault(name, len(features))

    return note


def _ends(features: list[Tensor]) -> Callable[..., None]:
    """Return a hook that copies the feature of a cut point, since later modules may change it in place."""

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        features.append(output.clone())

    return keep


def _reached(feature: Tensor, backbone: nn.Module) -> frozenset[str]:
    """Return the names of the parameters on which `feature` depends."""
    named = dict(backbone.named_parameters())
    found = torch.autograd.grad(feature.sum(), tuple(named.values()), retain_graph=True, allow_unused=True)
    return frozenset(name for name, gradient in zip(named, found, strict=True) if gradient is not None)

"""Build a design on a backbone: a copy of the user's module with untrained branches."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from eenas.backbones.copies import copy_of
from eenas.backbones.load import Backbone
from eenas.backbones.memory_format import INFERENCE, PLAIN, format_of
from eenas.branches.abilities import features_only, takes_previous
from eenas.branches.building import built
from eenas.designs.design import Design, Placed
from eenas.errors import CutError, DesignError, nearest, plural
from eenas.measurement.profile import source_of
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.policy import Policy
from eenas.seeding import derive, seeded
from eenas.specs import digest


def build_network(
    design: Design,
    backbone: Backbone,
    *,
    seed: int = 0,
    policy: Policy | None = None,
    classes: tuple[str, ...] = (),
) -> EarlyExitNetwork:
    """Return the network of `design` on a deep copy of `backbone`, with untrained branches.

    A branch's initial weights depend on the seed, its cut point and its structure, not on other branches. Raises
    DesignError if the design has another number of classes or its first branch is a cascade, CutError if the backbone
    lacks one of its cut points.
    """
    if design.num_classes != backbone.num_classes:
        raise DesignError(
            f"the design is for {plural(design.num_classes, 'class', 'classes')} and the backbone for "
            f"{backbone.num_classes}; "
            "search again for this task"
        )
    shapes = {point.name: point.shape for point in backbone.all_cut_points}
    order = {name: position for position, name in enumerate(shapes)}
    branches = {}
    for placed in sorted(design.branches, key=lambda placed: order.get(placed.cut_point, -1)):
        name = placed.cut_point
        if name not in shapes:
            raise CutError(f"{backbone.name} has no cut point {name!r}; {nearest(name, shapes)}")
        with seeded(derive(seed, "branch", name, digest(placed.branch))):
            branches[name] = built(placed.branch, shapes[name], design.num_classes)
    first = next(iter(branches), None)
    if first is not None and takes_previous(branches[first]):
        raise DesignError(
            f"the first branch, at {first!r}, must not be a cascade: it has no previous exit; use the inner branch"
        )
    network = EarlyExitNetwork(
        copy_of(backbone.module),
        branches,
        design=design,
        transform=backbone.transform,
        policy=policy,
        classes=classes,
        memory_format=common_format(backbone, design.branches, branches),
    )
    if design.static:
        freeze_unreached(network)
    return network


def common_format(
    backbone: Backbone, placed: Sequence[Placed], modules: Mapping[str, nn.Module]
) -> torch.memory_format:
    """Return the memory format in which the backbone and all branches run; `modules` maps cut points to branches.

    eenas's own families run in any format; a user's families are tried.
    """
    shapes = {point.name: point.shape for point in backbone.all_cut_points}
    for each in placed if backbone.memory_format == INFERENCE else ():
        module, shape = features_only(modules[each.cut_point], backbone.num_classes), shapes[each.cut_point]
        if source_of(each.branch) and format_of(module, shape.example()) != INFERENCE:
            return PLAIN
    return backbone.memory_format


def freeze_unreached(network: EarlyExitNetwork) -> None:
    """Switch off gradients for the backbone's parameters that no exit depends on."""
    was_training = network.training
    example = network.transform.example(1).to(next(network.parameters()).device)  # token ids for text, never floats
    network.eval()
    network.zero_grad(set_to_none=True)  # a copy of the user's module may hold gradients
    with torch.enable_grad():
        torch.stack(network(example)).sum().backward()  # type: ignore[no-untyped-call]
    for parameter in network.backbone.parameters():
        parameter.requires_grad_(parameter.grad is not None)
    network.zero_grad(set_to_none=True)
    network.train(was_training)

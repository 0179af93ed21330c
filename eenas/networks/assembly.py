"""A design built on a backbone: a copy of the user's module with fresh branches."""

import copy

from eenas.backbones.load import Backbone
from eenas.designs.design import Design
from eenas.errors import CutError, DesignError, nearest
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.threshold import ThresholdPolicy
from eenas.seeding import derive, seeded
from eenas.specs import digest


def build_network(
    design: Design,
    backbone: Backbone,
    *,
    seed: int = 0,
    policy: ThresholdPolicy | None = None,
    classes: tuple[str, ...] = (),
) -> EarlyExitNetwork:
    """The network of `design` on a deep copy of `backbone`, its branches initialised.

    A branch's first weights depend on the seed, its cut point and its structure, not on its neighbours. Raises
    DesignError when the design is for another number of classes, CutError when a cut point is not there.
    """
    if design.num_classes != backbone.num_classes:
        raise DesignError(
            f"the design answers with {design.num_classes} classes and the backbone with {backbone.num_classes}; "
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
            branches[name] = placed.branch.build(shapes[name], design.num_classes)
    return EarlyExitNetwork(
        copy.deepcopy(backbone.module),
        branches,
        design=design,
        transform=backbone.transform,
        policy=policy,
        classes=classes,
    )

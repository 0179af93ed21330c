"""A backbone by name with the MACs and parameters of its segments, for the verbs that only look at it."""

from functools import cache
from pathlib import Path

import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.branches.branch import Branch
from eenas.designs.counting import count_architectures
from eenas.designs.space import Space
from eenas.measurement.macs import count_macs
from eenas.measurement.profile import Profile, profile_backbone


def profile_by_name(
    name: str, *, cut_points: str = "blocks", classes: int, input_size: int | None, trust_code: bool
) -> tuple[Backbone, Profile]:
    """Build the backbone without weights of its own and count its segments; nothing is timed."""
    backbone = load_backbone(
        BackboneSpec(name=name, cut_points=cut_points),
        num_classes=classes,
        input_size=input_size,
        trust_code=trust_code,
        relative_to=Path.cwd(),
    )
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    return backbone, profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)


def architectures(space: Space, profile: Profile, classes: int) -> int:
    """How many different architectures `space` holds on the profiled backbone."""

    @cache
    def branch_macs(branch: Branch, shape: FeatureShape) -> int:
        return count_macs(branch.build(shape, classes), shape)

    return count_architectures(space, profile, classes, branch_macs)

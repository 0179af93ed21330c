"""A backbone by name with the MACs and parameters of its segments, for verbs that do not train, and its tables."""

from functools import cache
from pathlib import Path

import torch
from rich.table import Table

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.branches.branch import Branch
from eenas.cli.tables.tables import table
from eenas.designs.counting import count_architectures
from eenas.designs.space import Space
from eenas.errors import plural
from eenas.measurement.macs import count_macs
from eenas.measurement.profile import Profile, profile_backbone
from eenas.percent import percent
from eenas.reporting.facts.wording import milliseconds
from eenas.study.context.profiling import Taken
from eenas.tasks.images.frame import Size


def profile_by_name(
    name: str, *, cut_points: str = "blocks", classes: int, input_size: Size | None, trust_code: bool
) -> tuple[Backbone, Profile]:
    """Build the backbone without trained weights, and count the MACs of its segments. Measures no latency."""
    backbone = load_backbone(
        BackboneSpec(name=name, cut_points=cut_points),
        num_classes=classes,
        input_size=input_size,
        trust_code=trust_code,
        relative_to=Path.cwd(),
    )
    chain = Chain.built_from(backbone.module, backbone.example(), [point.name for point in backbone.cut_points])
    return backbone, profile_backbone(backbone, chain, device=torch.device("cpu"), latency=None)


def profile_tables(taken: Taken) -> Table:
    """Return the latency up to each cut point, the cost of cutting there, and the number of timed branches."""
    found, profile = taken.profile, taken.profile.profile
    made = table(
        f"{profile.backbone}: {found.whole.conditions}",
        *("cut point", "up to here", "share", "cutting here"),
        right=(1, 2, 3),
    )
    joints = profile.joints
    for k, point in enumerate(profile.cut_points):
        cut = "–" if joints is None else milliseconds(joints.cut_ms[k])
        way = profile.latency_ms[k].median_ms
        made.add_row(point.name, milliseconds(way), percent(profile.share(k, "latency"), 0), cut)
    made.add_section()
    made.add_row("whole backbone", milliseconds(found.whole.median_ms), "100 %", "")
    timed = taken.wanted - taken.lacking
    made.caption = f"{timed} of the {plural(taken.wanted, 'branch', 'branches')} of the search space are timed"
    made.caption_justify = "left"
    return made


def architectures(space: Space, profile: Profile, classes: int) -> int:
    """Return the number of different architectures in `space` on the profiled backbone."""

    @cache
    def branch_macs(branch: Branch, shape: FeatureShape) -> int:
        return count_macs(branch.build(shape, classes), shape)

    return count_architectures(space, profile, classes, branch_macs)

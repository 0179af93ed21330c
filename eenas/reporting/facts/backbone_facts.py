"""The cut points of a backbone as rows: shape and cumulative costs."""

import json
from dataclasses import asdict, dataclass

from eenas.backbones.features import FeatureShape
from eenas.measurement.profile import Profile
from eenas.tasks.images.frame import Size


@dataclass(frozen=True, kw_only=True)
class CutRow:
    """One cut point. MACs of one sample and parameters are cumulative; shares are of the whole backbone."""

    name: str
    kind: str
    shape: str
    block_end: bool
    macs: int
    macs_share: float
    parameters: int
    parameters_share: float


def backbone_rows(profile: Profile) -> list[CutRow]:
    """Return one row for each cut point of the profile, in depth order."""
    return [
        CutRow(
            name=point.name,
            kind=point.shape.kind,
            shape=shape_text(point.shape),
            block_end=point.block_end,
            macs=profile.macs[index],
            macs_share=profile.share(index, "macs"),
            parameters=profile.parameters[index],
            parameters_share=profile.share(index, "parameters"),
        )
        for index, point in enumerate(profile.cut_points)
    ]


def shape_text(shape: FeatureShape) -> str:
    """A feature's shape without the batch: "256 × 8 × 8" (channels, height, width), "197 tokens × 192", "512"."""
    if shape.kind == "map":
        return f"{shape.channels} × {shape.height} × {shape.width}"
    return f"{shape.tokens} tokens × {shape.channels}" if shape.kind == "tokens" else f"{shape.channels}"


def profile_json(profile: Profile, *, size: Size, classes: int) -> str:
    """Return the rows and the totals as JSON."""
    table = {
        "backbone": profile.backbone,
        "input_size": size,
        "classes": classes,
        "macs": profile.total_macs,
        "parameters": profile.total_parameters,
        "cut_points": [asdict(row) for row in backbone_rows(profile)],
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)

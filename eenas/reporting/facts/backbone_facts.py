"""The cut points of a backbone as rows: shape and cumulative costs."""

import json
from dataclasses import asdict, dataclass

from eenas.backbones.features import FeatureShape
from eenas.measurement.profile import Profile
from eenas.tasks.images.image_input import size_of
from eenas.tasks.inputs import InputSpec


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
    """A feature's shape without the batch: "256 × 8 × 8" (channels, then places), "197 tokens × 192", "512"."""
    if shape.kind in ("map", "series"):
        return " × ".join(map(str, (shape.channels, *shape.places)))
    return f"{shape.tokens} tokens × {shape.channels}" if shape.kind == "tokens" else f"{shape.channels}"


def size_words(inputs: InputSpec) -> str:
    """Return the size of inputs as text such as "32 × 32 px", "2 × 64 points"."""
    sizes = ["any" if axis.size is None else axis.size for axis in inputs.tensor.axes]
    if inputs.kind == "images":
        return " × ".join(map(str, sizes[1:])) + " px"
    return " × ".join(map(str, sizes)) + (" points" if inputs.kind == "series" else "")


def profile_json(profile: Profile, inputs: InputSpec, *, classes: int) -> str:
    """Return the rows and the totals as JSON."""
    size = size_of(inputs)
    table = {
        "backbone": profile.backbone,
        **({} if size is None else {"input_size": size}),
        "inputs": inputs.to_table(),
        "classes": classes,
        "macs": profile.total_macs,
        "parameters": profile.total_parameters,
        "cut_points": [asdict(row) for row in backbone_rows(profile)],
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)

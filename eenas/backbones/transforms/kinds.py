"""Transforms whichever kind they are of, read from a table."""

from collections.abc import Mapping
from typing import Any

from eenas import specs
from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.backbones.transforms.transform import Transform
from eenas.errors import BackboneError
from eenas.plugins import class_problem
from eenas.tasks.kinds import INPUT_KINDS

IMAGES = "images"
TRANSFORMS: dict[str, type[Transform]] = {
    IMAGES: InputTransform,
    "series": SeriesTransform,
    "text": TextTransform,
    "graphs": GraphTransform,
}
"""The transforms by the kind in their tables."""


def transform_from_table(table: Mapping[str, Any], *, file: str = "", key: str = "") -> Transform:
    """The transform; a table without a kind is of images, as all of version 0.1 are.

    A kind of a plug-in must be loaded before (`load_kind`). Raises SpecError or BackboneError, which begin with `file`
    and `key`, for anything else.
    """
    kind = table.get("kind", IMAGES) if isinstance(table, Mapping) else IMAGES
    if kind == IMAGES or not isinstance(kind, str):
        return specs.read_fields(InputTransform, table, file=file, key=key)
    values = {name: value for name, value in table.items() if name != "kind"}
    found = TRANSFORMS[kind] if kind in TRANSFORMS else INPUT_KINDS.find(kind).transform
    if (problem := class_problem(found, Transform)) is not None:
        raise BackboneError(f"the transform of {kind!r} {problem}")
    return specs.read_fields(found, values, file=file, key=key)

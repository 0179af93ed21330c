"""Transforms whichever kind they are of, read from a table."""

from collections.abc import Mapping
from typing import Any

from eenas import specs
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.backbones.transforms.transform import Transform
from eenas.errors import BackboneError
from eenas.plugins import Registry, class_problem

IMAGES = "images"


def _accept(name: str, found: Any) -> type[Transform]:
    if (problem := class_problem(found, Transform)) is not None:
        raise BackboneError(f"the transform {name!r} {problem}")
    return found


TRANSFORMS: Registry[type[Transform]] = Registry(
    "transform", {IMAGES: InputTransform, "series": SeriesTransform}, accept=_accept, error=BackboneError
)
"""The transforms by the kind in their tables."""


def transform_from_table(table: Mapping[str, Any], *, file: str = "", key: str = "") -> Transform:
    """The transform; a table without a kind is of images, as all of version 0.1 are.

    Raises SpecError or BackboneError, which begin with `file` and `key`, for anything else.
    """
    kind = table.get("kind", IMAGES) if isinstance(table, Mapping) else IMAGES
    if kind == IMAGES or not isinstance(kind, str):
        return specs.read_fields(InputTransform, table, file=file, key=key)
    values = {name: value for name, value in table.items() if name != "kind"}
    return specs.read_fields(TRANSFORMS.find(kind), values, file=file, key=key)

"""Transforms whichever kind they are of: read from a table, and given statistics."""

from collections.abc import Mapping
from typing import Any

from eenas import specs
from eenas.backbones.transforms.image_transform import InputTransform, with_statistics
from eenas.backbones.transforms.series_transform import KIND, SeriesTransform, with_series_statistics
from eenas.backbones.transforms.transform import Transform


def transform_from_table(table: Mapping[str, Any], *, file: str = "", key: str = "") -> Transform:
    """The transform; a table without a kind is of images, as all of version 0.1 are.

    Raises SpecError or BackboneError, which begin with `file` and `key`, for anything else.
    """
    if isinstance(table, Mapping) and table.get("kind") == KIND:
        values = {name: value for name, value in table.items() if name != "kind"}
        return specs.read_fields(SeriesTransform, values, file=file, key=key)
    return specs.read_fields(InputTransform, table, file=file, key=key)


def stated_statistics(transform: Transform, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Transform:
    """The same with these statistics; one number stands for all channels. Raises BackboneError."""
    if isinstance(transform, InputTransform):
        return with_statistics(transform, transform.channels, mean, std)
    assert isinstance(transform, SeriesTransform)
    return with_series_statistics(transform, mean, std)

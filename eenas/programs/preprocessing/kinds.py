"""The preprocessing of a manifest, by its kind of input."""

from collections.abc import Mapping
from typing import Any

from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.preprocessing.series_preprocessing import SERIES, SeriesPreprocessing


def preprocessing_from(table: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing in a manifest's table. A table without a kind, as in version 0.1, is for images.

    Raises InputError for invalid values, TypeError for unknown keys.
    """
    values = {name: value for name, value in table.items() if name != "kind"}
    return SeriesPreprocessing(**values) if table.get("kind") == SERIES else ImagePreprocessing(**values)

"""The preprocessing of a manifest, whichever kind of input it is for."""

from collections.abc import Mapping
from typing import Any

from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.preprocessing.series_preprocessing import SERIES, SeriesPreprocessing


def preprocessing_from(table: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing in a table of a manifest; one without a kind is of images, as all of version 0.1 are.

    Raises InputError for values that no input has, TypeError for unknown keys.
    """
    values = {name: value for name, value in table.items() if name != "kind"}
    return SeriesPreprocessing(**values) if table.get("kind") == SERIES else ImagePreprocessing(**values)

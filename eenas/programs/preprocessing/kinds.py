"""The preprocessing of a manifest, by its kind of input."""

from collections.abc import Mapping
from typing import Any

from eenas.errors import InputError
from eenas.plugins import class_problem
from eenas.programs.preprocessing.graph_preprocessing import GRAPHS, GraphPreprocessing
from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.preprocessing.series_preprocessing import SERIES, SeriesPreprocessing
from eenas.programs.preprocessing.text_preprocessing import TEXT, TextPreprocessing
from eenas.tasks.kinds import INPUT_KINDS

OF_IMAGES = "images"
PREPROCESSINGS: dict[str, type[Preprocessing]] = {
    OF_IMAGES: ImagePreprocessing,
    SERIES: SeriesPreprocessing,
    TEXT: TextPreprocessing,
    GRAPHS: GraphPreprocessing,
}
"""The preprocessings by the kind in their tables."""


def preprocessing_from(table: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing in a manifest's table. A table without a kind, as in version 0.1, is for images.

    A kind of a plug-in must be loaded before (`load_kind`). Raises InputError for invalid values, SpecError for an
    unknown kind, TypeError for unknown keys.
    """
    values, kind = {name: value for name, value in table.items() if name != "kind"}, table.get("kind", OF_IMAGES)
    found = PREPROCESSINGS[kind] if kind in PREPROCESSINGS else INPUT_KINDS.find(str(kind)).preprocessing
    if (problem := class_problem(found, Preprocessing)) is not None:
        raise InputError(f"the preprocessing of {kind!r} {problem}")
    made: Preprocessing = found(**values)
    return made

"""A task in a NumPy file: `train_x`, `train_y` and optionally `test_x`, `test_y`, `classes`, and lengths of series."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eenas.archives import read_arrays, shortened_path
from eenas.errors import SpecError, TaskError
from eenas.tasks.arrays import check_class_names
from eenas.tasks.images.frame import Size
from eenas.tasks.series.padding import ended
from eenas.tasks.spec import SplitsSpec, TaskSpec
from eenas.tasks.task import Task

NEEDED = ("train_x", "train_y")
LENGTHS = ("train_lengths", "test_lengths")
KNOWN = (*NEEDED, "test_x", "test_y", "classes", "lengths", *LENGTHS)


def npz_task(
    path: Path,
    splits: SplitsSpec | None = None,
    *,
    input_size: Size | None = None,
    flip: bool | None = None,
    spec: TaskSpec | None = None,
) -> Task:
    """Return the task in a .npz file (`numpy.savez`) with the arrays of `Task.from_arrays`.

    `train_lengths` and `test_lengths` [n] are the points of series of different length, which are padded in the arrays
    with anything. Pickled objects are never loaded. `flip` None flips colour images only. `spec` holds the other
    options (`TaskSpec`).

    Raises TaskError, with the name of the file, if it is missing, broken or holds other arrays.
    """
    arrays = _read(path)
    if "lengths" in arrays:
        raise TaskError(
            f"{path}: the points of series are {' and '.join(LENGTHS)}, one for each series, got 'lengths'; rename it"
        )
    try:
        return Task.from_arrays(
            path.stem,
            _ended(arrays, "train"),  # may free its memory once it is copied
            arrays["train_y"],
            _ended(arrays, "test"),
            arrays.get("test_y"),
            classes=check_class_names(arrays["classes"]) if "classes" in arrays else None,
            splits=splits,
            flip=flip,
            input_size=input_size,
            fit=(spec.fit if spec else None) or "crop",
            layout=spec.layout if spec else None,
            input=spec.input if spec else None,
        )
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from None


def _ended(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any] | None:
    """Take the samples of a source out of the arrays, with NaN behind the end of series whose lengths are given."""
    values, lengths = arrays.pop(f"{name}_x", None), arrays.pop(f"{name}_lengths", None)
    if lengths is None:
        return values
    if values is None:
        raise TaskError(f"{name}_lengths are given without {name}_x; give both or neither")
    return ended(values, lengths, name)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if os.path.isdir(path):
        raise TaskError(f"{path}: a folder, not a .npz file; folder:{path} reads class folders")
    if not os.path.exists(path):
        raise TaskError(f"{shortened_path(path)}: no such file; npz:PATH takes a file that numpy.savez wrote")
    try:
        return read_arrays(path, NEEDED, KNOWN)
    except SpecError as error:
        raise TaskError(str(error)) from None

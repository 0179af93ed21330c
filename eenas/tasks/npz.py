"""A task in a NumPy file: `train_x`, `train_y` and optionally `test_x`, `test_y`, `classes`."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eenas.archives import read_arrays, shortened_path
from eenas.errors import SpecError, TaskError
from eenas.tasks.arrays import check_class_names
from eenas.tasks.images.frame import Size
from eenas.tasks.spec import SplitsSpec, TaskSpec
from eenas.tasks.task import Task

NEEDED = ("train_x", "train_y")
KNOWN = (*NEEDED, "test_x", "test_y", "classes")


def npz_task(
    path: Path,
    splits: SplitsSpec | None = None,
    *,
    input_size: Size | None = None,
    flip: bool | None = None,
    spec: TaskSpec | None = None,
) -> Task:
    """Return the task in a .npz file (`numpy.savez`) with the arrays of `Task.from_arrays`.

    Pickled objects are never loaded. `flip` None flips colour images only. `spec` holds the other options (`TaskSpec`).

    Raises TaskError, with the name of the file, if it is missing, broken or holds other arrays.
    """
    arrays = _read(path)
    try:
        return Task.from_arrays(
            path.stem,
            arrays.pop("train_x"),  # may free its memory once it is copied
            arrays["train_y"],
            arrays.pop("test_x", None),
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


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if os.path.isdir(path):
        raise TaskError(f"{path}: a folder, not a .npz file; folder:{path} reads class folders")
    if not os.path.exists(path):
        raise TaskError(f"{shortened_path(path)}: no such file; npz:PATH takes a file that numpy.savez wrote")
    try:
        return read_arrays(path, NEEDED, KNOWN)
    except SpecError as error:
        raise TaskError(str(error)) from None

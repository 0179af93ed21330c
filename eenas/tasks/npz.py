"""A task in a NumPy file: `train_x`, `train_y` and, where there are any, `test_x`, `test_y`, `classes`."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.tasks.arrays import check_class_names
from eenas.tasks.frame import Size
from eenas.tasks.spec import SplitsSpec, TaskSpec
from eenas.tasks.task import Task

NEEDED = ("train_x", "train_y")
KNOWN = (*NEEDED, "test_x", "test_y", "classes")
_BROKEN = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def npz_task(
    path: Path,
    splits: SplitsSpec | None = None,
    *,
    input_size: Size | None = None,
    flip: bool | None = None,
    spec: TaskSpec | None = None,
) -> Task:
    """Read a .npz file (`numpy.savez`), never a pickle in it; `Task.from_arrays` says what the arrays must be.

    `flip` None means for colour images only; `spec` says the rest (`TaskSpec`). Raises TaskError, with the file's
    name, when it is missing, broken or holds other arrays.
    """
    arrays = _read(path)
    try:
        return Task.from_arrays(
            path.stem,
            arrays["train_x"],
            arrays["train_y"],
            arrays.get("test_x"),
            arrays.get("test_y"),
            classes=check_class_names(arrays["classes"]) if "classes" in arrays else None,
            splits=splits,
            flip=flip,
            input_size=input_size,
            fit=(spec.fit if spec else None) or "crop",
            layout=spec.layout if spec else None,
        )
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from None


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if os.path.isdir(path):
        raise TaskError(f"{path}: a folder, not a .npz file; folder:{path} reads class folders")
    if not os.path.exists(path):
        raise TaskError(f"{path}: no such file; npz:PATH takes a file that numpy.savez wrote")
    try:
        # opened here, because np.load leaves a broken file open
        with path.open("rb") as stream, _opened(stream, path) as file:
            missing = [key for key in NEEDED if key not in file.files]
            if missing:
                keys = ", ".join(repr(key) for key in file.files) or "nothing"
                raise TaskError(f"{path}: the array {missing[0]!r} is missing; the file holds {keys}")
            return {key: _array(file, key, path) for key in KNOWN if key in file.files}
    except _BROKEN as error:
        raise TaskError(
            f"{path}: not a .npz file that can be read ({_reason(error)}); write it with numpy.savez"
        ) from None


def _opened(stream: BinaryIO, path: Path) -> NpzFile:
    found = np.load(stream, allow_pickle=False)
    if isinstance(found, NpzFile):
        return found
    raise TaskError(f"{path}: a single array, not a .npz file; numpy.savez(path, train_x=..., train_y=...) writes one")


def _array(file: NpzFile, key: str, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[key]
    except _BROKEN as error:
        fix = "pickles are never read; save plain arrays" if "pickle" in str(error) else "write the file again"
        raise TaskError(f"{path}: the array {key!r} cannot be read ({_reason(error)}); {fix}") from None
    return array


def _reason(error: Exception) -> str:
    """The first line of an error's message, without NumPy's advice to read pickles."""
    if "pickle" in str(error) and "Object arrays" not in str(error):
        return "not NumPy's format"
    return (str(error).splitlines() or [type(error).__name__])[0]

"""A task in `.ts` files of the UCR and UEA archives, read by aeon: one file, or a train and a test file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import check_regular, shortened_error
from eenas.errors import EenasError, SpecError, TaskError
from eenas.escaping import one_line
from eenas.tasks.series.series_arrays import check_channel_counts
from eenas.tasks.spec import SplitsSpec
from eenas.tasks.task import Task

TRAIN, TEST = "_TRAIN.ts", "_TEST.ts"


def ts_task(path: Path, splits: SplitsSpec | None = None) -> Task:
    """Return the task in a `.ts` file, or in a folder with a pair of `_TRAIN.ts` and `_TEST.ts` files.

    In a folder NAME with several pairs, as in the UCR archive, the pair of NAME_TRAIN.ts is read. The test file beside
    a file that ends in `_TRAIN.ts` is read too, if it exists. Class names are those of the files, in sorted order.

    Raises TaskError, with the name of the file, if a file is missing, broken or of another kind, and if aeon (the extra
    `series`) is not installed.
    """
    train, test = _files(path)
    series, names = _read(train)
    classes = tuple(sorted(set(names)))
    tests: tuple[Any, Any] = (None, None)
    if test is not None:
        test_series, test_names = _read(test)
        if unknown := sorted(set(test_names) - set(classes)):
            raise TaskError(
                f"{one_line(str(test))}: has the class {unknown[0]!r}, but {train.name} has no sample of it; "
                "add some or remove the class"
            )
        tests = (test_series, _numbers(test_names, classes))
    try:
        return Task.from_arrays(
            train.name.removesuffix(TRAIN).removesuffix(".ts"),
            series,
            _numbers(names, classes),
            *tests,
            classes=classes,
            splits=splits,
            input="series",
        )
    except TaskError as error:
        raise TaskError(f"{one_line(str(train))}: {error}") from None


def _files(path: Path) -> tuple[Path, Path | None]:
    """Return the train file and the test file of a path.

    Raises TaskError if there is no train file, or more than one.
    """
    shown = one_line(str(path))
    if not os.path.exists(path):
        raise TaskError(f"{shown}: no such file; ts:PATH takes a .ts file, or a folder with NAME{TRAIN} and NAME{TEST}")
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(TRAIN))
        found = [file for file in found if file.name == path.resolve().name + TRAIN] or found
        if len(found) != 1:
            some = ", ".join(one_line(file.name) for file in found[:3]) or "none"
            raise TaskError(f"{shown}: needs one file that ends in {TRAIN}, got {some}; give the path of the file")
        path = found[0]
    beside = path.with_name(path.name.removesuffix(TRAIN) + TEST)
    return path, beside if path.name.endswith(TRAIN) and beside.is_file() else None


def _read(file: Path) -> tuple[NDArray[Any] | list[NDArray[Any]], list[str]]:
    """Return the series [n, channels, length], a list of them if they differ in length, and the class of each."""
    shown = one_line(str(file))
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError:
        raise TaskError(
            f"{shown}: .ts files are read by aeon, which is not installed; pip install 'eenas[series]'"
        ) from None
    try:
        check_regular(file)
        series, labels, facts = load_from_ts_file(str(file), return_meta_data=True)
    except SpecError as error:
        raise TaskError(str(error)) from None
    except EenasError:
        raise
    except Exception as error:  # aeon raises many types of errors
        raise TaskError(f"{shown}: aeon cannot read it as classified series ({shortened_error(error)})") from None
    if not len(series):
        raise TaskError(f"{shown}: has no series; give a .ts file with @data and a series in each line behind it")
    if not facts.get("classlabel", True):
        raise TaskError(f"{shown}: eenas needs classes, got a file of regression targets; give a file with classes")
    names = [str(label) for label in labels]
    if len(names) != len(series):
        raise TaskError(f"{shown}: needs a class for each series, got {len(names)} for {len(series)}; see @classLabel")
    if isinstance(series, list):
        try:
            check_channel_counts(series, "the file")
        except TaskError as error:
            raise TaskError(f"{shown}: {error}") from None
    return series, names


def _numbers(names: list[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[name] for name in names], dtype=np.int64)

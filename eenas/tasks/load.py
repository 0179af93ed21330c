"""Loading a task by its name: an embedded task, a folder, an array file, or a function of the user."""

import importlib.util
import inspect
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from eenas.bounds import shortened_error
from eenas.errors import EenasError, TaskError, nearest
from eenas.escaping import shortened
from eenas.plugins import is_reference
from eenas.progress import Listener, silent
from eenas.specs import digest
from eenas.tasks.distortions.spec import DistortionsSpec
from eenas.tasks.graphs.graph_files import graphs_task
from eenas.tasks.graphs.rings import rings_task
from eenas.tasks.held_out import from_test_source
from eenas.tasks.images.digits import digits_task
from eenas.tasks.images.folder import folder_task
from eenas.tasks.images.image_input import resized, white_of
from eenas.tasks.images.picture import FULL_WHITE
from eenas.tasks.images.webdataset import webdataset_task
from eenas.tasks.inputs import InputSpec
from eenas.tasks.npz import npz_task
from eenas.tasks.series.ts_files import ts_task
from eenas.tasks.series.waves import waves_task
from eenas.tasks.spec import SplitsSpec, TaskSpec
from eenas.tasks.task import Task
from eenas.tasks.text.phrases import phrases_task
from eenas.tasks.text.text_files import ENDINGS as TEXT_ENDINGS
from eenas.tasks.text.text_task import text_task
from eenas.user_code import load_object

EMBEDDED = ("digits", "waves", "phrases", "rings")
"""The tasks that ship with eenas."""
PATHS = ("folder", "webdataset", "npz", "ts", "text", "graphs")
"""The kinds of tasks that take a path."""
TASKS = (*EMBEDDED, *(f"{kind}:PATH" for kind in PATHS))
"""The names of tasks, apart from functions of the user."""
KINDS = f"{', '.join(TASKS)}, package.module:function or ./file.py:function"


def load_task(
    spec: TaskSpec | str,
    *,
    trust_code: bool = False,
    relative_to: Path | None = None,
    listener: Listener = silent,
) -> Task:
    """Return the task that `spec` names. `listener` receives the progress of the check that `skip_bad` asks for.

    A path is looked up in `relative_to` (the folder of the file that names it), then in the working folder. A function
    of the user runs only with `trust_code`. It is called with those of `splits` and `input_size` that are among its
    parameters, and returns a Task.

    Raises TaskError, or PluginError for code.
    """
    spec = TaskSpec(spec=spec) if isinstance(spec, str) else spec
    task = _load(spec, trust_code, relative_to, listener)
    task = from_test_source(task) if spec.held_out == "test" else task
    return with_distortions(task, spec.distortions, relative_to)


def with_distortions(task: Task, spec: DistortionsSpec | None, relative_to: Path | None = None) -> Task:
    """Return the task with the distortions of a spec, if any. A path of files is looked up as in `load_task`.

    Raises TaskError as `Task.with_distortions` does.
    """
    if spec is None:
        return task
    return task.with_distortions(replace(spec, files=str(_find(spec.files, relative_to))) if spec.files else spec)


def given_task(
    data: Task | str, inputs: InputSpec | None = None, *, skip_bad: bool = False, trust_code: bool = False
) -> Task:
    """Return the data for an existing network: the given task, or the one that a spec names.

    `inputs` is the input of the network. Images of more than 8 bits in a folder are then scaled by its `white`, as on a
    device, or by the full 16 bits if it has none, never by a value derived from the data. Arrays are read as samples of
    that kind. `skip_bad` leaves out unreadable images of a folder.

    Raises TaskError, also for samples of another kind, and PluginError for code without `trust_code`.
    """
    if isinstance(data, Task):
        if skip_bad:
            raise TaskError("skip_bad is for data given by name (folder:PATH), got a Task; load the task with skip_bad")
        task = data
    else:
        white = None if inputs is None else white_of(inputs)
        kind = inputs.kind if inputs is not None and data.startswith("npz:") else None
        shown = (white or FULL_WHITE) if data.startswith("folder:") else None
        task = load_task(TaskSpec(spec=data, white=shown, skip_bad=skip_bad, input=kind), trust_code=trust_code)
    if inputs is not None and task.inputs.kind != inputs.kind:
        raise TaskError(f"the network takes {inputs}, but the data are {task.inputs}; give data of that kind")
    return task


def names_data(spec: str) -> bool:
    """Whether a spec can be loaded again. False for the name of a task that was given as an object."""
    return spec in EMBEDDED or spec.startswith(tuple(f"{kind}:" for kind in PATHS)) or is_reference(spec)


def _load(spec: TaskSpec, trust_code: bool, relative_to: Path | None, listener: Listener) -> Task:
    kind, colon, place = spec.spec.partition(":")
    _check_keys(spec, kind if colon else "")
    if spec.spec == "digits":
        task = digits_task(spec.splits, input_size=spec.input_size, flip=bool(spec.flip))
        return task if spec.fit is None else task.fitted(spec.fit)
    if spec.spec == "waves":
        return _of_series(waves_task(spec.splits), spec)
    if spec.spec == "phrases":
        return _of_series(phrases_task(spec.splits), spec)
    if spec.spec == "rings":
        return _of_series(rings_task(spec.splits), spec)
    if kind in PATHS and (colon or not os.path.exists(_find(kind, relative_to))):
        if not place:
            raise TaskError(f"the task {shortened(spec.spec)} names no path; give {kind}:PATH")
        path, size, flip = _find(place, relative_to), spec.input_size, spec.flip
        if kind == "ts":
            return _of_series(ts_task(path, spec.splits), spec)
        if kind == "text":
            return _of_series(text_task(path, spec.splits, text=spec.text_column, label=spec.label_column), spec)
        if kind == "graphs":
            return _of_series(graphs_task(path, spec.splits, trust_code=trust_code), spec)
        if kind == "webdataset":
            return webdataset_task(path, spec.splits, input_size=size, flip=flip, fit=spec.fit)
        if kind == "npz":
            return npz_task(path, spec.splits, input_size=size, flip=flip, spec=spec)
        return folder_task(path, spec.splits, input_size=size, flip=flip, spec=spec, listener=listener)
    if is_reference(spec.spec) and not (place and _is_misspelt(kind, place, relative_to)):
        return _call(load_object(spec.spec, trust_code=trust_code, relative_to=relative_to), spec)
    if kind == "nodes" or spec.spec == "block_model":
        raise TaskError(
            f"{shortened(spec.spec)}: a search classifies whole samples; nodes of one graph are classified in Python "
            "(eenas.tasks.graphs.node_task and eenas.networks.nodes, docs/how-to/graphs.md)"
        )
    raise TaskError(f"unknown task {shortened(spec.spec)}; {_hint(spec.spec, relative_to)}")


def _check_keys(spec: TaskSpec, kind: str) -> None:
    """Raise TaskError for keys that this kind of task would ignore."""
    for key, there, of in (
        ("white", spec.white is not None, "folder"),
        ("skip_bad", spec.skip_bad, "folder"),
        ("without", bool(spec.without), "folder"),
        ("layout", spec.layout is not None, "npz"),
        ("input", spec.input is not None, "npz"),
        ("text_column", spec.text_column is not None, "text"),
        ("label_column", spec.label_column is not None, "text"),
    ):
        if there and kind != of:
            raise TaskError(f"task.{key} is for {of}:PATH, but the task is {shortened(spec.spec)}; leave it out")


def _is_misspelt(kind: str, place: str, relative_to: Path | None) -> bool:
    """Whether `kind` is no module, but nearly a kind of data, and `place` a path, as in `foldr:photos`."""
    is_near = nearest(kind, PATHS).startswith("nearest")
    return is_near and os.path.exists(_find(place, relative_to)) and importlib.util.find_spec(kind) is None


def _find(place: str, relative_to: Path | None) -> Path:
    path = Path(os.path.expanduser(place))  # os.path returns False where Path raises: no permission, a name too long
    beside = (relative_to or Path()) / path
    return beside if os.path.exists(beside) else path


def _call(function: Any, spec: TaskSpec) -> Task:
    if not callable(function):
        raise TaskError(
            f"{shortened(spec.spec)} is {type(function).__name__}, not a function; name a function that returns a Task"
        )
    try:
        parameters = set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = set()
    passed = {name: getattr(spec, name) for name in ("splits", "input_size") if name in parameters}
    if "splits" not in parameters and spec.splits != SplitsSpec():
        raise TaskError(
            f"{shortened(spec.spec)} makes its own splits, so [task.splits] would be ignored; "
            "leave the table out, or give the function a parameter `splits` for Task.from_arrays"
        )
    try:
        task = function(**passed)
    except EenasError:
        raise
    except Exception as error:  # whatever the user's function raises
        raise TaskError(f"{shortened(spec.spec)} failed: {type(error).__name__}: {shortened_error(error)}") from error
    if not isinstance(task, Task):
        raise TaskError(
            f"{shortened(spec.spec)} must return an eenas Task (see Task.from_arrays), got {type(task).__name__}"
        )
    if task.inputs.kind != "images":
        return _of_series(task, spec)
    if spec.fit is not None:
        task = task.fitted(spec.fit)
    size = spec.input_size or task.input_size
    flip = task.flip if spec.flip is None else spec.flip
    if (size, flip) == (task.input_size, task.flip):
        return task
    inputs = resized(task.inputs, size)
    return replace(task, inputs=inputs, flip=flip, digest=digest([task.digest, size, flip]))


def _of_series(task: Task, spec: TaskSpec) -> Task:
    """Return the task, or raise TaskError if the spec sets an option of images."""
    for key, value in (("input_size", spec.input_size), ("fit", spec.fit), ("flip", spec.flip)):
        if value not in (None, False):
            raise TaskError(
                f"task.{key} is for images, but the samples of {shortened(spec.spec)} are {task.inputs}; leave it out"
            )
    return task


def _hint(spec: str, relative_to: Path | None) -> str:
    """Return a suggestion for an unknown name: an existing file or folder, or the nearest kind."""
    path = _find(spec, relative_to)
    if os.path.isdir(path):
        reads_text = any(os.path.isfile(path / f"train{ending}") for ending in TEXT_ENDINGS)
        return f"text:{spec} reads texts" if reads_text else f"folder:{spec} reads class folders"
    if os.path.isfile(path) and path.suffix in TEXT_ENDINGS:
        return f"text:{spec} reads texts"
    if os.path.isfile(path) and path.suffix in (".npz", ".ts"):
        return f"npz:{spec} reads arrays" if path.suffix == ".npz" else f"ts:{spec} reads series"
    near = nearest(spec.partition(":")[0], (*EMBEDDED, *PATHS))
    return f"{near + '; ' if near.startswith('nearest') else ''}give {KINDS}"

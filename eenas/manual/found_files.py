"""What a folder holds that a study can use: data, modules and weights, found by reading them."""

import ast
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eenas.backbones.models.names import backbone_names
from eenas.backbones.weights.weight_files import ENDINGS as WEIGHTS
from eenas.errors import EenasError, TaskError
from eenas.escaping import one_line
from eenas.files import is_hidden
from eenas.tasks.images.image_files import is_image
from eenas.tasks.images.layout import find_layout
from eenas.tasks.inputs import Kind
from eenas.tasks.load import load_task
from eenas.tasks.text.text_files import ENDINGS as TEXTS
from eenas.tasks.text.text_task import SOURCES

_MOST = 20
"""The most files of one kind that are read."""
_KINDS: Mapping[str, Kind] = {"folder": "images", "graphs": "graphs", "npz": "images", "ts": "series", "text": "text"}
"""The input that a kind of task has if its file cannot be read."""


@dataclass(frozen=True, kw_only=True)
class FoundTask:
    """Data by their `task.spec`, with the kind of input and a description in words."""

    spec: str
    kind: Kind
    words: str


@dataclass(frozen=True, kw_only=True)
class FoundFiles:
    """Tasks, modules and weights in a folder, and one line for each file that looks like data and cannot be read.

    `unread` are the tasks of such files: what they need, such as the name of a column, can be set in the study file.
    `backbones` are names for `backbone.name`: `./file.py:name` of modules and functions, `hf:FOLDER` of encoders.
    `weights` are paths, with the name of the backbone that the file is called after, or an empty one.
    """

    tasks: tuple[FoundTask, ...]
    backbones: tuple[str, ...]
    weights: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]
    unread: tuple[FoundTask, ...] = ()


def find_files(folder: Path, home: Path | None = None) -> FoundFiles:
    """Return what `folder` and the folders in it hold. Paths are relative to `home`, that of the study file.

    Raises TaskError if `folder` is not a folder or cannot be read.
    """
    home = folder if home is None else home
    try:
        entries = sorted(each for each in folder.iterdir() if not is_hidden(each.name))
    except OSError as error:
        raise TaskError(
            f"{one_line(str(folder))}: cannot be read ({error.strerror}); give a folder with data or a network"
        ) from None
    refused = [
        f"{one_line(each.name)}: its name is not UTF-8; rename it" for each in entries if not _is_text(each.name)
    ]
    entries = [each for each in entries if _is_text(each.name)]
    tasks, unread = [], []
    for spec, path in _data(folder, entries):
        shown = _relative(path, home)
        try:
            tasks.append(_task(spec, path, shown))
        except EenasError as error:
            refused.append(one_line(str(error)))
            unread.append(FoundTask(spec=f"{spec}:{shown}", kind=_KINDS[spec], words=f"{shown}, which is not read yet"))
    encoders = [each for each in entries if (each / "config.json").is_file()]
    files = [each for each in entries if each.is_file()]
    if not (tasks or unread) and any(is_image(each.name) for each in files) and not _named_modules(files, home):
        refused.append("images without class folders; make one folder of images for each class")
        shown = _relative(folder, home)
        unread.append(FoundTask(spec=f"folder:{shown}", kind="images", words="images that are not in class folders"))
    return FoundFiles(
        tasks=tuple(tasks),
        backbones=(
            *_named_modules(files, home),
            *(f"hf:{_relative(each, home)}" for each in encoders),
        ),
        weights=tuple((_relative(file, home), _named_after(file)) for file in files if file.suffix in WEIGHTS),
        refused=tuple(refused),
        unread=tuple(unread),
    )


def _named_modules(files: list[Path], home: Path) -> list[str]:
    return [f"./{_relative(file, home)}:{name}" for file in files if file.suffix == ".py" for name in _modules(file)]


def _is_text(name: str) -> bool:
    """Whether a TOML file can hold a name. Bytes of a name that are not UTF-8 are read as lone surrogates."""
    return re.search("[\ud800-\udfff]", name) is None


def _relative(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path, home)).as_posix()


def _data(folder: Path, entries: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the kind of task and the path of whatever looks like data."""
    if _holds_images(folder):
        yield "folder", folder
    else:
        yield from (("folder", each) for each in entries if each.is_dir() and _holds_images(each))
    yield from (("graphs", each) for each in entries if each.is_dir() and any(each.glob("*_graph_indicator.txt")))
    for kind, endings in (("npz", (".npz",)), ("ts", (".ts",)), ("text", TEXTS)):
        found = [each for each in entries if each.is_file() and each.suffix.lower() in endings]
        if kind == "ts":  # a pair of files NAME_TRAIN and NAME_TEST is one task
            found = [each for each in found if not each.stem.upper().endswith("_TEST")]
        elif kind == "text":  # the tables of validation and test beside `train` belong to its task
            trains = {each.suffix.lower() for each in found if each.stem.lower() in SOURCES["train"]}
            others = (*SOURCES["validation"], *SOURCES["test"])
            found = [each for each in found if each.stem.lower() not in others or each.suffix.lower() not in trains]
        yield from (("graphs" if kind == "npz" and _holds_graphs(each) else kind, each) for each in found[:_MOST])


def _holds_images(folder: Path) -> bool:
    """Whether a folder holds class folders, in the layout of folder:PATH, with images in them."""
    try:
        layout = find_layout(folder)
    except EenasError:
        return False
    places = [place for root in layout.roots.values() for place in root.classes.values()]
    return any(is_image(name) for place in places[:_MOST] for _, _, names in os.walk(place) for name in names)


def _holds_graphs(file: Path) -> bool:
    """Whether an .npz file holds the edges of graphs instead of samples in one array."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return "edge_index.npy" in names and "train_x.npy" not in names


def _task(kind: str, path: Path, shown: str) -> FoundTask:
    """Return a task, described by its content. Images of a folder are not opened. Raises TaskError."""
    if kind == "folder":
        classes = find_layout(path).roots["train"].classes
        return FoundTask(spec=f"folder:{shown}", kind="images", words=f"images in {len(classes):,} classes")
    task = load_task(f"{kind}:{path}")
    held = task.inputs.kind
    count = sum(len(split) for split in task.splits)
    nouns = {"text": "texts"}
    return FoundTask(
        spec=f"{kind}:{shown}", kind=held, words=f"{count:,} {nouns.get(held, held)} in {len(task.classes):,} classes"
    )


def _modules(file: Path) -> list[str]:
    """Return the classes and functions of a Python file that look like networks. The file is parsed, and not run."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    named = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [node.name for node in named if not node.name.startswith("_") and _is_network(node)]


def _is_network(node: ast.ClassDef | ast.FunctionDef) -> bool:
    if isinstance(node, ast.ClassDef):
        return any("Module" in ast.unparse(base) for base in node.bases) and _callable(node)
    returned = "" if node.returns is None else ast.unparse(node.returns)
    given = {each.arg for each in node.args.args}
    return _needs_only_classes(node) and ("num_classes" in given or returned.endswith("Module"))


def _callable(node: ast.ClassDef) -> bool:
    """Whether the class is built from the number of classes alone, and has a forward pass."""
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    return "forward" in methods and ("__init__" not in methods or _needs_only_classes(methods["__init__"]))


def _needs_only_classes(node: ast.FunctionDef) -> bool:
    without = len(node.args.args) - len(node.args.defaults)
    needed = {each.arg for each in node.args.args[:without]} - {"self", "num_classes"}
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return not needed and all(default is not None or each.arg == "num_classes" for each, default in keywords)


def _named_after(file: Path) -> str:
    """Return the backbone whose name the file's begins with, the longest one, or an empty text."""
    names = [name for name in backbone_names() if file.stem == name or file.stem.startswith((f"{name}-", f"{name}."))]
    return max(names, key=len, default="")

"""A task in class folders: `PATH/CLASS/*.png`, or `PATH/train/CLASS/*.png` and `PATH/test/CLASS/*.png`."""

import os
from pathlib import Path

import numpy as np

from eenas.errors import TaskError
from eenas.tasks.image_files import ENDINGS, FilePixels
from eenas.tasks.spec import SourceName, SplitsSpec
from eenas.tasks.task import Source, Task, assemble


def folder_task(
    path: Path, splits: SplitsSpec | None = None, *, input_size: int | None = None, flip: bool | None = None
) -> Task:
    """A folder with one folder of images for each class, or with `train/` (and `test/`) that hold such folders.

    Images may lie deeper; files of other endings and hidden folders are passed over. `flip` None means for colour
    images only. Raises TaskError when a folder is missing or empty, an image's header is corrupt, there is only one
    class, train and test have other classes, or the splits do not fit.
    """
    if not os.path.exists(path):
        raise TaskError(f"{path}: no such folder; folder:PATH takes a folder with one folder of images for each class")
    if not path.is_dir():
        raise TaskError(f"{path}: a file, not a folder; npz:PATH reads arrays")
    roots = _sources(path)
    classes = {source: _class_names(root) for source, root in roots.items()}
    names = classes["train"]
    if len(names) < 2:
        raise TaskError(
            f"{roots['train']}: a task needs at least two classes, got only {names[0]!r}; add a class folder"
        )
    if "test" in classes and classes["test"] != names:
        _refuse_other_classes(path, names, classes["test"])
    sources: dict[SourceName, Source] = {}
    for source, root in roots.items():
        found = [_images(root / name) for name in names]
        labels = np.repeat(np.arange(len(names), dtype=np.int64), [len(files) for files in found])
        sources[source] = FilePixels(root, [file for files in found for file in files], input_size), labels
    try:
        return assemble(path.resolve().name or "folder", names, sources, splits or SplitsSpec(), flip=flip)
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from None


def _sources(path: Path) -> dict[SourceName, Path]:
    """Where the class folders are. A folder `train` with images right in it is a class (of trains)."""
    folders = _folders(path)
    if not folders:
        raise TaskError(f"{path}: holds no class folders; make one folder of images for each class")
    if "train" not in folders or not _holds_folders_only(path / "train"):
        if "test" in folders and _holds_folders_only(path / "test"):
            raise TaskError(
                f"{path}: holds test/ with class folders but no such train/; add it, or give one of them alone"
            )
        return {"train": path}
    others = [name for name in folders if name not in ("train", "test")]
    if others:
        raise TaskError(
            f"{path}: beside train/ only test/ is read, got {others[0]!r}; rename it to test/, or move it elsewhere"
        )
    sources: dict[SourceName, Path] = {"train": path / "train"}
    if "test" in folders:
        sources["test"] = path / "test"
    return sources


def _class_names(root: Path) -> tuple[str, ...]:
    names = tuple(_folders(root))
    if not names:
        raise TaskError(f"{root}: holds no class folders; make one folder of images for each class")
    return names


def _refuse_other_classes(path: Path, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    parts = [
        f"only {where} has {', '.join(repr(name) for name in only[:5])}{', ...' if len(only) > 5 else ''}"
        for where, only in (
            ("train", [name for name in train if name not in test]),
            ("test", [name for name in test if name not in train]),
        )
        if only
    ]
    raise TaskError(f"{path}: train and test must have the same classes, but {' and '.join(parts)}")


def _images(folder: Path) -> list[Path]:
    """The image files in and below a class folder, sorted."""
    files: list[Path] = []
    seen: set[str] = set()
    for place, below, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        if os.path.realpath(place) in seen:  # a link that leads back up
            below.clear()
            continue
        seen.add(os.path.realpath(place))
        below[:] = [name for name in below if not _hidden(name)]
        files += [Path(place, name) for name in names if _is_image(name)]
    if not files:
        raise TaskError(f"{folder}: the class folder holds no image (of {', '.join(ENDINGS)}); add images or remove it")
    return sorted(files)


def _folders(path: Path) -> list[str]:
    """The names of the folders in `path`, sorted, without hidden ones."""
    try:
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not _hidden(entry.name))
    except OSError as error:
        _refuse_folder(error)
        raise


def _holds_folders_only(path: Path) -> bool:
    return bool(_folders(path)) and not any(_is_image(entry.name) for entry in path.iterdir())


def _is_image(name: str) -> bool:
    return not _hidden(name) and name.lower().endswith(ENDINGS)


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _refuse_folder(error: OSError) -> None:
    raise TaskError(f"{error.filename}: the folder cannot be read ({error.strerror}); change its permissions") from None

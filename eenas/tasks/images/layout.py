"""The location of the class folders of a task: in its folder, or below `train/`, `val/` and `test/`."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from eenas.errors import TaskError
from eenas.escaping import one_line
from eenas.files import is_hidden
from eenas.tasks.images.image_files import is_image, name_below
from eenas.tasks.images.picture import image_endings
from eenas.tasks.spec import SOURCE_NAMES, SourceName

ROLES: dict[str, SourceName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The names, in any case, of folders that hold class folders."""
EXPECTED = (
    "give PATH/CLASS/*.png, or PATH/train/CLASS/*.png with val/ and test/ beside train/ "
    "(also training, valid, validation, testing)"
)


FolderId = tuple[int, int]
"""The identity of a folder on the file system: device and inode."""


@dataclass(frozen=True)
class Root:
    """A folder of class folders: the printable name and the path of each class."""

    path: Path
    classes: Mapping[str, Path]


@dataclass(frozen=True)
class Layout:
    """The root of each source, and notices on files that are not used."""

    roots: Mapping[SourceName, Root]
    notices: tuple[str, ...] = ()


@dataclass
class SkippedFiles:
    """Files among the images that are not images, counted by extension."""

    counts: Counter[str] = field(default_factory=Counter)

    def words(self) -> str | None:
        """Return one line, or None if no file was skipped."""
        if not self.counts:
            return None
        listed = ", ".join(f"{count:,} {ending}" for ending, count in self.counts.most_common(8))
        more = f" and {len(self.counts) - 8} other kinds" if len(self.counts) > 8 else ""
        return f"skipped, since the extension is not that of an image: {listed}{more}"


def find_layout(path: Path) -> Layout:
    """Return the sources in the folder `path`.

    A folder `train` that holds images and no folders is a class (of trains). With only `train/` and `val/`, `val/` is
    the test source.

    Raises TaskError for other layouts.
    """
    folders = _folders(path)
    if not folders:
        raise TaskError(f"{one_line(str(path))}: holds no class folders; make one folder of images for each class")
    found: dict[SourceName, list[str]] = {}
    for name in folders:
        role = ROLES.get(name.lower())
        if role is not None and _holds_class_folders(path / name):
            found.setdefault(role, []).append(name)
    if "train" not in found:
        _refuse_other_splits(path, folders, found)
        return Layout({"train": _root(path)}, _beside(path))
    for role, names in found.items():
        if len(names) > 1:
            raise TaskError(f"{one_line(str(path))}: {names[0]}/ and {names[1]}/ both hold {role} data; keep one")
    notices = list(_beside(path))
    taken = {names[0] for names in found.values()}
    for name in folders:
        if name in taken:
            continue
        if name.lower() in ROLES:
            if _images_in(path / name):
                notices.append(f"{one_line(name)}/ is skipped: without class folders it has no labels")
        elif _holds_images(path / name):
            raise TaskError(
                f"{one_line(str(path))}: beside {found['train'][0]}/ only val/ and test/ are read, got "
                f"{one_line(name)!r}; rename it, or move it elsewhere ({EXPECTED})"
            )
    roots = {role: _root(path / found[role][0]) for role in SOURCE_NAMES if role in found}
    if "test" not in roots and "validation" in roots:
        roots["test"] = roots.pop("validation")
    for root in roots.values():
        notices += _beside(root.path)
    return Layout(roots, tuple(notices))


def images_below(folder: Path, root: Path, skipped: SkippedFiles, taken: dict[FolderId, Path]) -> list[Path]:
    """Return the image files in and below a class folder, sorted by name. Other files are counted in `skipped`.

    Links are followed, except to parent folders, which hold other classes too. `taken` maps each folder to its class
    and starts with the class folders.

    Raises TaskError if a link leads to a folder of another class, or if there is no image.
    """
    files: list[Path] = []
    seen = {folder_id(parent) for parent in folder.absolute().parents}
    for place, below, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        here = folder_id(Path(place))
        if here in seen:  # a link to a parent, or a second link to the same folder
            below.clear()
            continue
        seen.add(here)
        if (other := taken.setdefault(here, folder)) != folder:
            ours, theirs = one_line(place), one_line(str(other))
            raise TaskError(f"{ours}: is also a folder of the class {theirs}; remove one of the two links")
        below[:] = [name for name in below if not is_hidden(name)]
        for name in names:
            if is_hidden(name):
                continue
            file = Path(place, name)
            if not is_image(name):
                skipped.counts[os.path.splitext(name)[1].lower() or "without extension"] += 1
            elif file.exists() and not file.is_file():
                skipped.counts["pipes, sockets or devices"] += 1
            else:
                files.append(file)
    if not files:
        few = ", ".join(end for end in image_endings() if end in (".jpg", ".png", ".webp", ".tif", ".bmp"))
        raise TaskError(
            f"{one_line(str(folder))}: the class folder holds no image ({few} and others); add images or remove it"
        )
    return sorted(files, key=lambda file: name_below(root, file).split("/"))


def folder_id(path: Path) -> FolderId:
    """Return the identity of a folder, equal for all its paths through links and mounts."""
    try:
        found = os.stat(path)
    except OSError as error:
        _refuse_folder(error)
    return found.st_dev, found.st_ino


def _root(path: Path) -> Root:
    """Return the class folders in `path`, by their names in Unicode NFC, so every file system gives the same order."""
    names = _folders(path)
    if not names:
        raise TaskError(f"{one_line(str(path))}: holds no class folders; make one folder of images for each class")
    classes: dict[str, Path] = {}
    for name in names:
        shown = one_line(unicodedata.normalize("NFC", name))
        if shown in classes:
            raise TaskError(
                f"{one_line(str(path))}: two class folders are called {shown!r}, with composed and with decomposed "
                "accents; merge them"
            )
        classes[shown] = path / name
    places: dict[FolderId, str] = {}
    for shown, place in classes.items():
        if (other := places.setdefault(folder_id(place), shown)) != shown:
            raise TaskError(
                f"{one_line(str(path))}: the class folders {other!r} and {shown!r} are the same folder; remove the link"
            )
    return Root(path, dict(sorted(classes.items())))


def _refuse_other_splits(path: Path, folders: Sequence[str], found: Mapping[SourceName, Sequence[str]]) -> None:
    """Raise TaskError if the top folders look like splits instead of classes."""
    for role in ("test", "validation"):
        if role in found:
            name = one_line(found[role][0])
            raise TaskError(
                f"{one_line(str(path))}: holds {name}/ with class folders but no train/ with class folders; "
                f"add train/, or give folder:{one_line(str(path / found[role][0]))}"
            )
    inside = [{name.lower() for name in _folders(path / folder)} for folder in folders]
    if len(folders) == 1:
        if inside[0] and not _images_in(path / folders[0]):
            raise TaskError(
                f"{one_line(str(path))}: holds only one folder, {one_line(folders[0])!r}; "
                f"if the classes are in it, give folder:{one_line(str(path / folders[0]))}"
            )
        return
    common, every = set.intersection(*inside), set.union(*inside)
    alike = len(common) >= 2 and 2 * len(common) >= len(every)
    if alike and not any(_images_in(path / folder) for folder in folders):
        listed = ", ".join(f"{one_line(name)}/" for name in folders[:4]) + (", ..." if len(folders) > 4 else "")
        both = ", ".join(one_line(name) for name in sorted(common)[:3])
        raise TaskError(
            f"{one_line(str(path))}: {listed} all hold the same folders ({both}), so they are not classes; {EXPECTED}"
        )


def _holds_class_folders(path: Path) -> bool:
    """Whether a folder with the name of a split is one: it holds folders, with more images in them than beside them."""
    folders = _folders(path)
    beside = _images_in(path)
    if not folders or not beside:
        return bool(folders)
    inside = sum(_images_in(path / name) for name in folders)
    return inside > beside or beside == 1


def _beside(path: Path) -> tuple[str, ...]:
    count = _images_in(path)
    if not count:
        return ()
    which = f"{count:,} pictures" if count > 1 else "1 picture"
    return (f"{which} beside the class folders of {one_line(path.name or str(path))}/ skipped: they have no class",)


def _images_in(path: Path) -> int:
    return sum(is_image(entry.name) and not _is_folder(entry) for entry in _entries(path))


def _holds_images(path: Path) -> bool:
    return any(is_image(name) for _, _, names in os.walk(path) for name in names)


def _folders(path: Path) -> list[str]:
    """Return the sorted names of the folders in `path` that are not hidden."""
    return sorted(entry.name for entry in _entries(path) if _is_folder(entry) and not is_hidden(entry.name))


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        _refuse_folder(error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _refuse_folder(error: OSError) -> NoReturn:
    where = one_line(str(error.filename))
    fix = "change its permissions" if isinstance(error, PermissionError) else "restore it, or remove the link to it"
    raise TaskError(f"{where}: the folder cannot be read ({error.strerror}); {fix}") from None

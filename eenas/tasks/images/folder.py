"""A task in class folders: `PATH/CLASS/*.png`, or `PATH/train/CLASS/*.png` with `val/` and `test/` beside `train/`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eenas.errors import TaskError
from eenas.escaping import one_line
from eenas.progress import Advanced, Finished, Listener, Started, silent
from eenas.tasks.images.frame import Size
from eenas.tasks.images.image_files import FilePixels, Header, name_below, read_headers
from eenas.tasks.images.layout import Layout, Root, SkippedFiles, find_layout, folder_id, images_below
from eenas.tasks.images.picture import FULL_WHITE
from eenas.tasks.images.picture_check import PHASE, Checked, bad_pictures, check_files
from eenas.tasks.spec import SPLIT_NAMES, SourceName, SplitsSpec, TaskSpec
from eenas.tasks.task import Source, Task, assemble


@dataclass
class _Files:
    """The image files of one source, class by class, while they are being selected."""

    root: Root
    files: list[Path]
    labels: list[int]
    headers: list[Header | str]

    def names(self) -> list[str]:
        return [one_line(name_below(self.root.path, file)) for file in self.files]

    def without(self, bad: Sequence[bool]) -> None:
        keep = [row for row, out in enumerate(bad) if not out]
        self.files = [self.files[row] for row in keep]
        self.labels = [self.labels[row] for row in keep]
        self.headers = [self.headers[row] for row in keep]


def folder_task(
    path: Path,
    splits: SplitsSpec | None = None,
    *,
    input_size: Size | None = None,
    flip: bool | None = None,
    spec: TaskSpec | None = None,
    listener: Listener = silent,
) -> Task:
    """Return the task in a folder of class folders, or of `train/` (and `val/`, `test/`) that hold class folders.

    Images may lie in subfolders. Files with other extensions are skipped and counted; hidden files are skipped. `flip`
    None flips colour images only. `spec` holds the other options (`TaskSpec`).

    Raises TaskError if a folder is missing or empty, the layout is unknown, the header of an image is corrupt, there is
    only one class, the classes of the sources differ, or the splits do not fit.
    """
    spec = spec or TaskSpec(spec=f"folder:{path}")
    shown = one_line(str(path))
    if not os.path.exists(path):
        raise TaskError(f"{shown}: no such folder; folder:PATH takes a folder with one folder of images for each class")
    if not path.is_dir():
        raise TaskError(f"{shown}: a file, not a folder; npz:PATH reads arrays")
    layout = find_layout(path)
    names = tuple(layout.roots["train"].classes)
    if len(names) < 2:
        where = one_line(str(layout.roots["train"].path))
        raise TaskError(f"{where}: a task needs at least two classes, got only {names[0]!r}; add a class folder")
    for source, root in layout.roots.items():
        if tuple(root.classes) != names:
            _refuse_other_classes(layout, source)
    skipped = SkippedFiles()
    found = {source: _files(root, names, skipped) for source, root in layout.roots.items()}
    left_out = _leave_out(path, found, spec, listener)
    white, said = _white_of(found, spec.white)
    sources: dict[SourceName, Source] = {}
    for source, each in found.items():
        headers = [header for header in each.headers if isinstance(header, Header)]
        pixels = FilePixels(each.root.path, each.files, headers, input_size, spec.fit or "crop", white, path)
        sources[source] = pixels, np.array(each.labels, dtype=np.int64)
    try:
        task = assemble(one_line(path.resolve().name) or "folder", names, sources, splits or SplitsSpec(), flip=flip)
    except TaskError as error:
        raise TaskError(f"{shown}: {error}") from None
    notices = (*layout.notices, skipped.words(), said, _origin(task, layout), *task.notices)
    return replace(task, left_out=left_out, notices=tuple(text for text in notices if text))


def _files(root: Root, names: Sequence[str], skipped: SkippedFiles) -> _Files:
    taken = {folder_id(folder): folder for folder in root.classes.values()}
    below = [images_below(root.classes[name], root.path, skipped, taken) for name in names]
    files = [file for each in below for file in each]
    return _Files(root, files, [label for label, each in enumerate(below) for _ in each], read_headers(files))


def _leave_out(path: Path, found: Mapping[SourceName, _Files], spec: TaskSpec, listener: Listener) -> tuple[str, ...]:
    """Remove the files that `spec` names and, with `skip_bad`, unreadable ones. Return their names relative to `path`.

    Raises TaskError for unreadable headers without `skip_bad`.
    """
    left_out: list[str] = []
    wanted = set(spec.without)
    bad: list[str] = []
    for each in found.values():
        prefix = one_line(each.root.path.relative_to(path).as_posix())
        full = [name if prefix == "." else f"{prefix}/{name}" for name in each.names()]
        each.without([name in wanted for name in full])
        left_out += [name for name in full if name in wanted]
        full = [name for name in full if name not in wanted]
        if spec.skip_bad:
            reasons = _checked(each, listener)
            left_out += [name for name, reason in zip(full, reasons, strict=True) if isinstance(reason, str)]
            each.without([isinstance(reason, str) for reason in reasons])
        else:
            bad += [header for header in each.headers if isinstance(header, str)]
    if bad:
        raise bad_pictures(bad)
    return tuple(left_out)


def _checked(each: _Files, listener: Listener) -> list[Checked]:
    """Return the result of the check for each file: its header's fault, or that of decoding it."""
    rows = [row for row, header in enumerate(each.headers) if isinstance(header, Header)]
    headers = [header for header in each.headers if isinstance(header, Header)]
    listener(Started(PHASE, len(rows)))
    files = [each.files[row] for row in rows]
    checked = check_files(each.root.path, files, headers, lambda done: listener(Advanced(PHASE, done)))
    listener(Finished(PHASE, f"{len(rows):,} images"))
    reasons: list[Checked] = [header if isinstance(header, str) else -1 for header in each.headers]
    for row, value in zip(rows, checked, strict=True):
        reasons[row] = value
    return reasons


def _white_of(found: Mapping[SourceName, _Files], asked: int | None) -> tuple[int | None, str | None]:
    """Return the value that maps to white in images of more than 8 bits and a notice, or two None without such images.

    The value is the largest number with as many bits as the images of all sources use.

    Raises TaskError for bad images, and for images that do not use their upper 8 bits, if Pillow returns only those.
    """
    largest, deep, clipped = 0, 0, 0
    bad: list[str] = []
    for each in found.values():
        rows = [row for row, header in enumerate(each.headers) if isinstance(header, Header) and header.deep]
        if not rows:
            continue
        headers = [header for header in each.headers if isinstance(header, Header) and header.deep]
        checked = check_files(each.root.path, [each.files[row] for row in rows], headers)
        bad += [value for value in checked if isinstance(value, str)]
        tops = [value for value in checked if isinstance(value, int)]
        deep, largest = deep + len(rows), max([largest, *tops])
        clipped += sum(header.clipped for header in headers)
    if bad:
        raise bad_pictures(bad)
    if not deep:
        return None, None
    white = asked or max(255, (1 << largest.bit_length()) - 1)
    if clipped and white < FULL_WHITE:
        raise TaskError(
            f"{_images_have(clipped)} 16 bits a channel and use {largest.bit_length()} of them, but Pillow reads only "
            "the upper 8; save them with 8 bits a channel"
        )
    how = f"task.white = {asked}" if asked else f"up to {largest:,}; task.white = {FULL_WHITE} would scale all 16 bits"
    return white, f"{_images_have(deep)} more than 8 bits a channel: {white:,} becomes white ({how})"


def _images_have(count: int) -> str:
    return "1 image has" if count == 1 else f"{count:,} images have"


def _origin(task: Task, layout: Layout) -> str:
    """Return one line that names the folder of each split."""
    parts = []
    for source, root in layout.roots.items():
        here = [f"{name} {len(task.split(name)):,}" for name in SPLIT_NAMES if task.split(name).source == source]
        if here:
            parts.append(f"{', '.join(here)} from {one_line(root.path.name or str(root.path))}/")
    return f"splits: {'; '.join(parts)}"


def _refuse_other_classes(layout: Layout, source: SourceName) -> None:
    train, other = layout.roots["train"], layout.roots[source]
    ours, theirs = one_line(train.path.name), one_line(other.path.name)
    parts = [
        f"only {where} has {', '.join(repr(name) for name in only[:5])}{', ...' if len(only) > 5 else ''}"
        for where, only in (
            (ours, [name for name in train.classes if name not in other.classes]),
            (theirs, [name for name in other.classes if name not in train.classes]),
        )
        if only
    ]
    where = one_line(str(train.path.parent))
    raise TaskError(f"{where}: {ours} and {theirs} must have the same classes, but {' and '.join(parts)}")

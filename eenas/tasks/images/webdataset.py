"""A task in the tar files of a WebDataset: `webdataset:PATTERN`, with labels in `.cls` or `.json` members."""

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.bounds import read_file
from eenas.errors import PictureError, TaskError, plural
from eenas.escaping import one_line, shortened
from eenas.tasks.images.frame import Fit, Frame, Size
from eenas.tasks.images.image_files import in_threads
from eenas.tasks.images.layout import ROLES
from eenas.tasks.images.picture import prepare_picture
from eenas.tasks.images.pixels import Pixels
from eenas.tasks.images.tar_shard import TarShard
from eenas.tasks.spec import SourceName, SplitsSpec
from eenas.tasks.task import Source, Task, assemble

CLASSES = "classes.txt"
"""The file beside the tar files that names the classes, one a line; without it, they are named by their labels."""
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_MOST_SHARDS = 1 << 17


@final
class ShardPixels(Pixels):
    """Images in tar files, read by their position and decoded by a few threads. `channels` is 1 if all are grey."""

    def __init__(self, shards: Sequence[TarShard], size: Size | None = None, fit: Fit = "crop") -> None:
        self.shards = tuple(shards)
        self._starts = np.cumsum([0, *(len(each.rows) for each in self.shards)])
        state = hashlib.sha256()
        for shard in self.shards:
            state.update(np.ascontiguousarray(shard.rows["digest"]).tobytes())
        grey = all(bool(shard.rows["grey"].all()) for shard in self.shards)
        super().__init__(size, 1 if grey else 3, state.hexdigest()[:16], fit)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(width, height) of each image, [n, 2]."""
        return np.stack([self._all("width"), self._all("height")], axis=1).astype(np.int64)

    @property
    def names(self) -> Sequence[str]:
        """The tar file and the member of each image."""
        return [shard.name(row) for shard in self.shards for row in range(len(shard.rows))]

    @property
    def labels(self) -> list[str]:
        """The label of each image as text, [n]."""
        return [str(label) for shard in self.shards for label in shard.rows["label"]]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each image, [n]."""
        return self._all("digest").astype(np.uint64)

    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Return the decoded and prepared images (see `prepare_picture`).

        Raises TaskError, which names the member, if an image cannot be decoded.
        """
        images = torch.empty((len(rows), channels, frame.height, frame.width), dtype=torch.uint8)

        def decoded(row: int) -> NDArray[np.uint8]:
            number = int(np.searchsorted(self._starts, row, side="right")) - 1
            shard, place = self.shards[number], row - int(self._starts[number])
            try:
                return prepare_picture(shard.image(place), frame, channels)
            except PictureError as error:
                raise TaskError(f"{shard.name(place)}: {error}; replace or remove the sample") from None
            except OSError as error:
                raise TaskError(f"{shard.name(place)}: cannot be read ({error.strerror or error})") from None

        for image, pixels in zip(images, in_threads(decoded, [int(row) for row in rows]), strict=True):
            image.copy_(torch.from_numpy(pixels))
        return images

    def _all(self, field: str) -> NDArray[np.generic]:
        return np.concatenate([shard.rows[field] for shard in self.shards])


def webdataset_task(
    pattern: Path,
    splits: SplitsSpec | None = None,
    *,
    input_size: Size | None = None,
    flip: bool | None = None,
    fit: Fit | None = None,
) -> Task:
    """Return the task in tar files: a folder of them, or a pattern with `*`, `?` and `{000..127}`.

    A word of a file's name (`ROLES`) tells its source; if all files have the same or none, they are the train source.
    The count of samples comes from an index of each file, which is made once and cached.

    Raises TaskError if no file fits, only some names tell a source, none of several sources is train, a file or member
    is damaged, or the labels contradict each other.
    """
    shown = one_line(str(pattern))
    files = _files(pattern)
    if not files:
        raise TaskError(
            f"{shown}: no tar file; webdataset:PATTERN takes a folder of .tar files or train-{{000..127}}.tar"
        )
    by_source: dict[SourceName, list[TarShard]] = {}
    for source, shard in zip(_sources_of(files, shown), in_threads(TarShard.of, files), strict=True):
        by_source.setdefault(source, []).append(shard)
    pixels = {source: ShardPixels(shards, input_size, fit or "crop") for source, shards in by_source.items()}
    names, numbers = _classes({label for each in pixels.values() for label in each.labels}, files[0].parent)
    sources: dict[SourceName, Source] = {}
    for source, each in pixels.items():
        sources[source] = each, np.array([numbers[label] for label in each.labels], dtype=np.int64)
    try:
        return assemble(_name(pattern), names, sources, splits or SplitsSpec(), flip=flip)
    except TaskError as error:
        raise TaskError(f"{shown}: {error}") from None


def _files(pattern: Path) -> list[Path]:
    """Return the files of a folder or pattern in the order of their names. Raises TaskError for a missing one."""
    if os.path.isdir(pattern):
        return sorted(path for path in pattern.glob("*.tar") if not path.name.startswith("."))
    text = str(pattern)
    ranges = [(first, last) for first, last in _RANGE.findall(text)]
    total = 1
    for first, last in ranges:
        total *= max(0, int(last) - int(first) + 1)
    if total > _MOST_SHARDS:
        raise TaskError(f"{one_line(text)}: {total:,} files; a pattern names at most {_MOST_SHARDS:,}")
    found: list[Path] = []
    for numbers in product(*(range(int(first), int(last) + 1) for first, last in ranges)):
        filled = text
        for number, (first, _) in zip(numbers, ranges, strict=True):
            filled = _RANGE.sub(f"{number:0{len(first)}d}", filled, count=1)
        here = sorted(glob.glob(filled)) if glob.has_magic(filled) else [filled]
        found += [Path(each) for each in here]
    missing = [path for path in found if not os.path.isfile(path)]
    if missing:
        raise TaskError(f"{one_line(str(missing[0]))}: no such file; correct the pattern {one_line(text)}")
    return found


def _sources_of(files: Sequence[Path], shown: str) -> list[SourceName]:
    """Return the source of each file. Raises TaskError if the names do not tell it."""
    found = [_source_of(file) for file in files]
    if len(set(found)) == 1:
        return ["train"] * len(files)
    told = [source for source in found if source is not None]
    if len(told) < len(found):
        file = one_line(files[found.index(None)].name)
        raise TaskError(f"{shown}: {file} names no source, other files do; put train, val or test in its name")
    if "train" not in told:
        raise TaskError(f"{shown}: validation and test files without train files; add some, or give one kind")
    return told


def _source_of(file: Path) -> SourceName | None:
    words = re.split(r"[^a-z]+", file.stem.lower())
    return next((ROLES[word] for word in reversed(words) if word in ROLES), None)


def _classes(labels: set[str], folder: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the names of the classes, and the class number of each label."""
    if not all(label.isdecimal() for label in labels):
        names = tuple(sorted(labels))
        return names, {name: number for number, name in enumerate(names)}
    highest = max(map(int, labels))
    try:
        lines = read_file(folder / CLASSES, 1 << 24).decode("utf-8", "replace").split("\n")
        names = tuple(one_line(line.strip()) for line in lines if line.strip())
    except FileNotFoundError:
        if highest > len(labels) * 10 + 100:
            raise TaskError(
                f"the labels are of {plural(len(labels), 'class', 'classes')} but go up to {shortened(highest)}; "
                "number them from 0"
            ) from None
        names = tuple(str(number) for number in range(highest + 1))
    if highest >= len(names):
        raise TaskError(
            f"{one_line(str(folder / CLASSES))}: {len(names)} names, but a label is {shortened(highest)}; add the names"
        )
    return names, {label: int(label) for label in labels}


def _name(pattern: Path) -> str:
    folder = pattern if pattern.is_dir() else pattern.parent
    return one_line(folder.resolve().name) or "webdataset"

"""A check that decodes every image of a source once, before training."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eenas.errors import PictureError, TaskError
from eenas.progress import Advanced, Finished, Listener, Started
from eenas.tasks.images.depth import is_deep, loses_bits
from eenas.tasks.images.image_files import SMALLEST, FilePixels, Header, in_threads
from eenas.tasks.images.picture import opened
from eenas.tasks.images.picture_cache import GOOD, PictureCache
from eenas.tasks.task import Task

PHASE = "checking the images"
NAMED = 3
"""The number of bad images that an error names."""
_CHUNK = 256  # files decoded between two progress reports
_STRIP = 1 << 20  # pixels examined at a time
_RULES = b"2\0"  # increase the number when the checks change: all images are checked again

Checked = int | str
"""GOOD, the largest value of a deep image, or the fault of a bad one."""


def check_files(
    root: Path, files: Sequence[Path], headers: Sequence[Header], advance: Callable[[int], None] | None = None
) -> list[Checked]:
    """Decode each file that is not in the cache, and return the result for each. `advance` receives the number done."""
    cache = PictureCache(root)
    keys = [_key(file, header) for file, header in zip(files, headers, strict=True)]
    found: list[Checked | None] = list(cache.look_up(keys))
    new = [row for row, value in enumerate(found) if value is None]
    for start in range(0, len(new), _CHUNK):
        part = new[start : start + _CHUNK]
        if advance is not None:
            advance(len(files) - len(new) + start)
        for row, fresh in zip(part, in_threads(lambda row: _decoded(files[row]), part), strict=True):
            found[row] = fresh
    good = [(keys[row], value) for row in new if isinstance(value := found[row], int)]
    if good:
        cache.keep([key for key, _ in good], [value for _, value in good])
    return [value for value in found if value is not None]


def check_pictures(task: Task, listener: Listener) -> None:
    """Decode every image file of a task's sources once.

    Raises TaskError, which names the first bad images.
    """
    sources = {id(split.samples): split.samples for split in task.splits}
    pixels = [each for each in sources.values() if isinstance(each, FilePixels)]
    total, done, bad = sum(map(len, pixels)), 0, list[str]()
    if not total:
        return
    listener(Started(PHASE, total))
    for each in pixels:

        def advance(count: int, before: int = done) -> None:
            listener(Advanced(PHASE, before + count))

        checked = check_files(each.root, each.files, each.headers, advance)
        bad += [value for value in checked if isinstance(value, str)]
        done += len(each)
        listener(Advanced(PHASE, done))
    listener(Finished(PHASE, f"{total:,} images{f', {len(bad):,} of them bad' if bad else ''}"))
    if bad:
        raise bad_pictures(bad)


def bad_pictures(reasons: Sequence[str]) -> TaskError:
    """Return the error for images that cannot be read."""
    more = f" and {len(reasons) - NAMED:,} more" if len(reasons) > NAMED else ""
    count = f"{len(reasons):,} images cannot be read: " if len(reasons) > 1 else ""
    pronoun = "them" if count else "it"
    verbs = "search, calibrate, export and verify"
    fix = f"replace or remove {pronoun}, or leave {pronoun} out (task.skip_bad; --skip-bad of {verbs})"
    return TaskError(f"{count}{'; '.join(reasons[:NAMED])}{more}; {fix}")


def _key(file: Path, header: Header) -> int:
    """Return a digest of the path, both ends and the modification time of a file."""
    try:
        written = os.stat(file).st_mtime_ns
    except OSError:
        written = 0
    text = _RULES + os.fsencode(file) + b"\0" + header.digest + written.to_bytes(12, "big", signed=True)
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def _decoded(file: Path) -> Checked:
    try:
        with opened(file, SMALLEST) as image:
            deep = is_deep(image)
            clipped = deep and loses_bits(image)
            image.load()
            if not deep:
                return GOOD
            least, largest = _extremes(image)
            if least < 0:
                raise PictureError("holds values below 0; save it with 8 bits a channel")
            return largest << 8 | 255 if clipped else largest
    except PictureError as error:
        return str(error)


def _extremes(image: Any) -> tuple[int, int]:
    """Return the smallest and largest value of a loaded image, without its alpha channel."""
    if not image.mode.startswith("I"):
        bands = [image.getextrema()] if len(image.getbands()) == 1 else image.getextrema()
        used = [each for name, each in zip(image.getbands(), bands, strict=True) if name not in "Aa"]
        return int(min(low for low, _ in used)), int(max(high for _, high in used))
    found = []  # Pillow's getextrema does not support all of these modes
    for top in range(0, image.height, rows := max(1, _STRIP // image.width)):
        levels = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        found += [int(levels.min()), int(levels.max())]
    return min(found), max(found)

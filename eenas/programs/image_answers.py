"""What an exported model answers to image files, one at a time: class, confidence, exit and milliseconds."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, PictureError
from eenas.escaping import one_line
from eenas.programs.runtime import ExportedModel
from eenas.tasks.images.image_files import endings, is_hidden


@dataclass(frozen=True, kw_only=True)
class ImageAnswer:
    """The answer to the image in `file`: the class by name, its probability at the exit, and that exit.

    `milliseconds` are those of `predict` for this image alone, preprocessing included, reading and decoding not.
    """

    file: Path
    label: str
    confidence: float
    exit: str
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """A file without an answer, and why; `hidden` ones (macOS leaves `._a.png` beside `a.png`) were not tried."""

    file: Path
    reason: str
    hidden: bool = False


def answer_images(model: ExportedModel, paths: Sequence[Path]) -> Iterator[ImageAnswer | Unanswered]:
    """Answer image files in order, a batch of 1 each; a folder stands for the image files right in it, by name.

    What cannot be read is not answered, and the others are. Raises InputError for a model of other channels.
    """
    preprocessing = model.manifest.preprocessing
    if preprocessing.channels not in (1, 3):
        raise InputError(
            f"image files have 1 or 3 channels, this model takes {preprocessing.channels}; use its predict"
        )
    is_warm = False
    for file in (file for path in paths for file in _images(path)):
        if isinstance(file, Unanswered):
            yield file
            continue
        try:
            image = model.preprocess(file)
        except PictureError as error:
            yield Unanswered(file=file, reason=str(error))
            continue
        if not is_warm:  # after the first file is read, which imports Pillow: the first time is one of many then
            model.warm_up()
            is_warm = True
        yield _answer(model, file, image)


def _answer(model: ExportedModel, file: Path, image: NDArray[np.uint8]) -> ImageAnswer:
    began = time.perf_counter()
    answer = model.predict(image)
    elapsed = time.perf_counter() - began
    return ImageAnswer(
        file=file,
        label=model.classes[int(answer.classes[0])],
        confidence=float(answer.confidences[0]),
        exit=model.exits[int(answer.exits[0])],
        milliseconds=elapsed * 1e3,
    )


def _images(path: Path) -> list[Path | Unanswered]:
    shown = one_line(str(path))
    if not os.path.exists(path):
        return [Unanswered(file=path, reason=f"{shown}: no such file; give image files, or folders of them")]
    if not path.is_dir():
        return [path]
    try:
        names = sorted(entry.name for entry in os.scandir(path) if not entry.is_dir())
    except OSError as error:
        return [Unanswered(file=path, reason=f"{shown}: cannot be read ({error.strerror}); change its permissions")]
    known = tuple(endings())
    found = [path / name for name in names if name.lower().endswith(known)]
    if not found:
        return [Unanswered(file=path, reason=f"{shown}: holds no image files ({', '.join(known[:6])}, ...)")]
    return [_hidden(file) if is_hidden(file.name) else file for file in found]


def _hidden(file: Path) -> Unanswered:
    return Unanswered(file=file, reason=f"{one_line(str(file))}: hidden, so passed over", hidden=True)

"""The answers of an exported model to files of samples, one at a time: class, confidence, exit and milliseconds."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eenas.errors import InputError, PictureError
from eenas.escaping import one_line
from eenas.programs.preprocessing.series_preprocessing import SeriesPreprocessing
from eenas.programs.runtime import ExportedModel
from eenas.tasks.images.image_files import endings, is_hidden

SERIES_ENDINGS: tuple[str, ...] = (".npy",)


@dataclass(frozen=True, kw_only=True)
class FileAnswer:
    """The answer to a sample of `file`: the class by name, its probability at the exit, and that exit.

    `number` counts the samples of a file that holds several (None: it is one). `milliseconds` are those of `predict`
    for this sample alone; reading and decoding are left out.
    """

    file: Path
    number: int | None = None
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


def answer_files(model: ExportedModel, paths: Sequence[Path]) -> Iterator[FileAnswer | Unanswered]:
    """Answer files in order, a batch of 1 for each sample; a folder stands for such files right in it, by name.

    Files are images, or for a model of series `.npy` files (`SeriesPreprocessing.prepare`). A file that cannot be read
    is not answered, and the others are. Raises InputError for a model of images with other channels than files have.
    """
    preprocessing = model.manifest.preprocessing
    known = SERIES_ENDINGS
    if not isinstance(preprocessing, SeriesPreprocessing):
        if preprocessing.shape[0] not in (1, 3):
            raise InputError(
                f"image files have 1 or 3 channels, this model takes {preprocessing.shape[0]}; use its predict"
            )
        known = tuple(endings())
    is_warm = False
    for file in (file for path in paths for file in _files(path, known)):
        if isinstance(file, Unanswered):
            yield file
            continue
        try:
            samples = model.preprocess(file)
        except (PictureError, InputError) as error:
            yield Unanswered(file=file, reason=str(error))
            continue
        if not is_warm:  # after the first file is read, which imports Pillow: the first time is one of many then
            model.warm_up()
            is_warm = True
        for number in range(len(samples)):
            several = None if len(samples) == 1 else number
            yield _answer(model, file, several, samples[number : number + 1])


def _answer(model: ExportedModel, file: Path, number: int | None, sample: NDArray[Any]) -> FileAnswer:
    began = time.perf_counter()
    answer = model.predict(sample)
    elapsed = time.perf_counter() - began
    return FileAnswer(
        file=file,
        number=number,
        label=model.classes[int(answer.classes[0])],
        confidence=float(answer.confidences[0]),
        exit=model.exits[int(answer.exits[0])],
        milliseconds=elapsed * 1e3,
    )


def _files(path: Path, known: tuple[str, ...]) -> list[Path | Unanswered]:
    shown = one_line(str(path))
    if not os.path.exists(path):
        return [Unanswered(file=path, reason=f"{shown}: no such file; give files of samples, or folders")]
    if not path.is_dir():
        return [path]
    try:
        names = sorted(entry.name for entry in os.scandir(path) if not entry.is_dir())
    except OSError as error:
        return [Unanswered(file=path, reason=f"{shown}: cannot be read ({error.strerror}); change its permissions")]
    found = [path / name for name in names if name.lower().endswith(known)]
    if not found:
        kind, more = ("series", "") if known == SERIES_ENDINGS else ("image", ", ...")
        return [Unanswered(file=path, reason=f"{shown}: holds no {kind} files ({', '.join(known[:6])}{more})")]
    return [_hidden(file) if is_hidden(file.name) else file for file in found]


def _hidden(file: Path) -> Unanswered:
    return Unanswered(file=file, reason=f"{one_line(str(file))}: hidden, so passed over", hidden=True)

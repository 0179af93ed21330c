"""Answers of an exported model to files, one sample at a time: class, confidence, exit and milliseconds."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eenas.errors import InputError, PictureError
from eenas.escaping import one_line
from eenas.files import is_hidden
from eenas.programs.preprocessing.image_preprocessing import ImagePreprocessing
from eenas.programs.preprocessing.preprocessing import Preprocessing
from eenas.programs.preprocessing.text_preprocessing import TextPreprocessing
from eenas.programs.runtime import ExportedModel


@dataclass(frozen=True, kw_only=True)
class FileAnswer:
    """The answer to one sample of `file`: the name of the class, its probability at the exit, and the exit.

    `file` is None for a text that was given itself, and `text` is the text for a model of texts. `truncated` is the
    number of tokens that are read of a longer text, else None. `number` is the index
    of the sample in a file with several, else None. `milliseconds` is the time of `predict` for
    this sample, without reading and decoding. `answered` says where the answer of a model with a server comes from.
    """

    file: Path | None
    text: str | None = None
    truncated: int | None = None
    number: int | None = None
    label: str
    confidence: float
    exit: str
    milliseconds: float
    answered: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """A file without an answer, with the reason. `hidden` files, such as macOS's `._a.png`, are skipped unread."""

    file: Path
    reason: str
    hidden: bool = False


def answer_files(model: ExportedModel, paths: Sequence[Path | str]) -> Iterator[FileAnswer | Unanswered]:
    """Answer files in order, with batch size 1. A folder stands for the matching files directly in it, sorted by name.

    The preprocessing of the model reads them (`Preprocessing.prepare`) and states their endings. An unreadable file
    yields `Unanswered`. For a model of texts, a path is a file with a text in each line, and a str that is no file is
    itself a text. Raises InputError for a model whose samples no file holds, such as images of four channels.
    """
    preprocessing = model.manifest.preprocessing
    if isinstance(preprocessing, TextPreprocessing):
        yield from _text_answers(model, preprocessing, paths)
        return
    if isinstance(preprocessing, ImagePreprocessing) and preprocessing.shape[0] not in (1, 3):
        raise InputError(
            f"image files have 1 or 3 channels, this model takes {preprocessing.shape[0]}; call predict from Python"
        )
    if not preprocessing.file_endings():
        raise InputError(
            f"{type(preprocessing).__name__} of this model names no endings of files (file_endings); call predict from "
            "Python"
        )
    is_warm = False
    for file in (file for path in paths for file in _files(Path(path), preprocessing)):
        if isinstance(file, Unanswered):
            yield file
            continue
        try:
            samples = model.preprocess(file)
        except (PictureError, InputError) as error:
            yield _unanswered(file, str(error))
            continue
        if not len(samples):
            yield _unanswered(file, f"contains no {preprocessing.files}; give a file with at least one")
            continue
        if not is_warm:  # after the first read, which imports Pillow, so that the first time is typical
            model.warm_up()
            is_warm = True
        for number in range(len(samples)):
            several = None if len(samples) == 1 else number
            yield _answer(model, file, several, samples[number : number + 1])


def _text_answers(
    model: ExportedModel, preprocessing: TextPreprocessing, sources: Sequence[Path | str]
) -> Iterator[FileAnswer | Unanswered]:
    """Answer texts and the texts in files, one at a time."""
    is_warm = False
    for source in sources:
        is_file = (
            isinstance(source, Path) or os.path.exists(source) or source.lower().endswith(preprocessing.file_endings())
        )
        given: list[Path | str | Unanswered] = [source]
        if is_file:
            given = [*_files(Path(source), preprocessing)]
        for each in given:
            if isinstance(each, Unanswered):
                yield each
                continue
            try:
                texts = preprocessing.texts(each)
                samples = [model.preprocess(text) for text in texts]
            except InputError as error:
                yield _unanswered(each, str(error))
                continue
            if not texts:
                yield _unanswered(each, "contains no text; give a file with a text in each line")
                continue
            if not is_warm:
                model.warm_up()
                is_warm = True
            file = each if isinstance(each, Path) else None
            for number, (text, sample) in enumerate(zip(texts, samples, strict=True)):
                found = _answer(model, file, None if len(texts) == 1 else number, sample)
                truncated = preprocessing.max_length if preprocessing.is_truncated(text) else None
                yield replace(found, text=text, truncated=truncated)


def _unanswered(file: Path | str, reason: str) -> Unanswered:
    """Return a file with a reason that names it, or a text."""
    if not isinstance(file, Path):
        return Unanswered(file=Path(file), reason=reason)
    shown = one_line(str(file))
    named = str(file) in reason or shown in reason
    return Unanswered(file=file, reason=reason if named else f"{shown}: {reason}")


def _answer(model: ExportedModel, file: Path | None, number: int | None, sample: NDArray[Any]) -> FileAnswer:
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
        answered=answer.answered[0] if answer.answered else None,
    )


def _files(path: Path, preprocessing: Preprocessing) -> list[Path | Unanswered]:
    known, kind = preprocessing.file_endings(), preprocessing.files
    shown = one_line(str(path))
    if not os.path.exists(path):
        return [Unanswered(file=path, reason=f"{shown}: no such file; give files or folders with samples")]
    if not path.is_dir():
        return [path]
    try:
        entries = list(os.scandir(path))
        names = sorted(entry.name for entry in entries if not entry.is_dir())
    except OSError as error:
        return [Unanswered(file=path, reason=f"{shown}: cannot be read ({error.strerror}); change its permissions")]
    found = [path / name for name in names if name.lower().endswith(known)]
    if not found:
        more = ", ..." if len(known) > 6 else ""
        reason = f"{shown}: contains no {kind} files ({', '.join(known[:6])}{more})"
        if len(names) < len(entries):
            reason += "; folders in it are not read, so give one of them"
        return [Unanswered(file=path, reason=reason)]
    return [_hidden(file) if is_hidden(file.name) else file for file in found]


def _hidden(file: Path) -> Unanswered:
    return Unanswered(file=file, reason=f"{one_line(str(file))}: skipped, because it is hidden", hidden=True)

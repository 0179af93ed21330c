"""What an exported model answers to image files, one at a time: class, confidence, exit and milliseconds."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eenas.deployment.runtime import ExportedModel
from eenas.errors import InputError
from eenas.tasks.image_files import ENDINGS, FilePixels


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


def answer_images(model: ExportedModel, paths: Sequence[Path]) -> Iterator[ImageAnswer]:
    """Answer image files in order, a batch of 1 each; a folder stands for the image files right in it, by name.

    Raises InputError for a path without images, TaskError for a file that is no image.
    """
    files = [file for path in paths for file in _images(path)]
    preprocessing = model.manifest.preprocessing
    if preprocessing.channels not in (1, 3):
        raise InputError(
            f"image files have 1 or 3 channels, this model takes {preprocessing.channels}; use its predict"
        )
    pixels = FilePixels(Path(files[0].absolute().anchor), [file.absolute() for file in files])
    model.warm_up()
    for row, file in enumerate(files):
        image = pixels.read(np.array([row]), preprocessing.size, preprocessing.channels).numpy()
        began = time.perf_counter()
        answer = model.predict(image)
        elapsed = time.perf_counter() - began
        yield ImageAnswer(
            file=file,
            label=model.classes[int(answer.classes[0])],
            confidence=float(answer.confidences[0]),
            exit=model.exits[int(answer.exits[0])],
            milliseconds=elapsed * 1e3,
        )


def _images(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file; give image files, or folders of them")
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
    if not found:
        raise InputError(f"{path}: holds no image files ({', '.join(ENDINGS)})")
    return found

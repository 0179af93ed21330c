"""The samples that leave first and last, as small pictures for a page."""

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import StudyError
from eenas.policies.scores import score
from eenas.reporting.facts.picked import Picked, exit_names
from eenas.tasks.images.frame import sides_of
from eenas.tasks.task import Task

SHOWN = 14
"""Samples of each kind."""
LARGEST = 64
"""Pixels: pictures are made this large at most."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample of the validation split: position, class, answer, the exit at which it leaves, and its confidence."""

    position: int
    label: int
    answer: int
    exit: str
    score: float


@dataclass(frozen=True, kw_only=True)
class SamplesFacts:
    """Samples that leave at the earliest exit used (`first`, most confident first), and at the latest (`last`)."""

    first: tuple[Sample, ...]
    last: tuple[Sample, ...]


def samples_facts(picked: Picked, limit: int = SHOWN) -> SamplesFacts:
    """Return the facts. The confidence is the largest probability at the exit, at its fitted temperature."""
    exits = picked.exit_index
    earliest, latest = int(exits.min()), int(exits.max())
    first, last = (np.nonzero(exits == k)[0] for k in (earliest, latest))
    sure, unsure = (_scores(picked, k)[at] for k, at in ((earliest, first), (latest, last)))
    first, last = first[np.argsort(-sure, kind="stable")], last[np.argsort(unsure, kind="stable")]
    return SamplesFacts(first=_samples(picked, first[:limit], earliest), last=_samples(picked, last[:limit], latest))


def pictures(task: Task, picked: Picked, facts: SamplesFacts) -> dict[int, str]:
    """A PNG as a data URL for each position that the facts name.

    Raises StudyError where the task's validation split is not the one whose exit tables were kept, and TaskError for an
    image that cannot be read.
    """
    split = task.validation
    if not np.array_equal(split.labels, picked.validation.labels):
        raise StudyError("the task's validation split is not the one that was searched on; give the data of the search")
    height, width = sides_of(task.input_size or LARGEST)
    shrink = min(1.0, LARGEST / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    positions = [sample.position for sample in (*facts.first, *facts.last)]
    images = split.images(size, task.channels)[np.array(positions, dtype=np.int64)].numpy()
    return {
        position: "data:image/png;base64," + base64.b64encode(png(image)).decode()
        for position, image in zip(positions, images, strict=True)
    }


def png(image: NDArray[np.uint8]) -> bytes:
    """An image uint8 [1 or 3, H, W] as a PNG file (ISO/IEC 15948): grey or true colour, without a filter."""
    channels, height, width = image.shape
    rows = np.ascontiguousarray(np.moveaxis(image, 0, 2)).reshape(height, width * channels)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _scores(picked: Picked, k: int) -> NDArray[np.float64]:
    return score(picked.validation.logits[:, k], float(picked.temperatures[k]))


def _samples(picked: Picked, positions: NDArray[np.int64], k: int) -> tuple[Sample, ...]:
    scores, names = _scores(picked, k), exit_names(picked)
    return tuple(
        Sample(
            position=position,
            label=int(picked.validation.labels[position]),
            answer=int(picked.answer[position]),
            exit=names[k],
            score=float(scores[position]),
        )
        for position in positions.tolist()
    )

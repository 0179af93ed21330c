"""The samples that leave first and last, as small drawings for a page."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import StudyError
from eenas.policies.scores import score
from eenas.reporting.facts.picked import Picked, exit_names
from eenas.reporting.figures.line_drawing import line_drawing
from eenas.tasks.images.png import png_url, small
from eenas.tasks.task import Task
from eenas.tasks.text.text_bytes import unstacked_texts

SHOWN = 14
"""Samples of each kind."""
LETTERS = 240
"""Characters of a text that are shown."""


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


def quotes(task: Task, picked: Picked, facts: SamplesFacts) -> dict[int, str]:
    """Return the beginning of the text at each position that the facts name; samples of other kinds have none.

    Raises StudyError as `pictures` does.
    """
    if task.inputs.kind != "text":
        return {}
    positions = _positions(task, picked, facts)
    texts = unstacked_texts(task.validation.reader(task.inputs)[positions].numpy())
    shown = (each.decode() for each in texts)
    return {
        position: text if len(text) <= LETTERS else text[:LETTERS] + "…"
        for position, text in zip(positions.tolist(), shown, strict=True)
    }


def pictures(task: Task, picked: Picked, facts: SamplesFacts) -> dict[int, str]:
    """A drawing as a data URL for each position that the facts name: a PNG of an image, lines (SVG) of a series.

    Samples of other kinds have none.

    Raises StudyError where the task's validation split is not the one whose exit tables were kept, and TaskError for a
    sample that cannot be read.
    """
    split, rows = task.validation, _positions(task, picked, facts)
    if task.inputs.kind == "series":
        drawn = [line_drawing(series) for series in split.reader(task.inputs)[rows].numpy()]
    elif task.inputs.kind != "images":
        return {}
    else:
        drawn = [png_url(image) for image in split.reader(small(task.inputs))[rows].numpy()]
    return dict(zip(rows.tolist(), drawn, strict=True))


def _positions(task: Task, picked: Picked, facts: SamplesFacts) -> NDArray[np.int64]:
    if not np.array_equal(task.validation.labels, picked.validation.labels):
        raise StudyError("the task's validation split is not the one that was searched on; give the data of the search")
    return np.array([sample.position for sample in (*facts.first, *facts.last)], dtype=np.int64)


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

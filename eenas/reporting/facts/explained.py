"""The explanation of a study's fully trained network for a page: tables, and some samples with the map of each exit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from eenas.deployment.network_sources import of_run
from eenas.errors import plural
from eenas.networks.explanations.explain import CAUTION, Explanation, explain
from eenas.networks.network import EarlyExitNetwork
from eenas.percent import percent
from eenas.reporting.facts.wording import place
from eenas.reporting.figures.line_drawing import line_drawing
from eenas.reporting.figures.relevance_drawing import over_image, plain_image, strip
from eenas.runs.run_report import RunReport
from eenas.tasks.task import Task

ROWS, CLASSES = 6, 3
"""The samples that are drawn, and the classes listed at each end."""


@dataclass(frozen=True, kw_only=True)
class ExplainedSample:
    """A sample as drawings (data URLs): itself, and its map at each exit, with a caption each."""

    label: str
    picture: str
    maps: tuple[str, ...]
    captions: tuple[str, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class ExplainedFacts:
    """The explanation of a network: sentences, a row of measures for each exit, rows of classes, and samples."""

    title: str
    sentences: tuple[str, ...]
    exits: tuple[str, ...]
    exit_rows: tuple[tuple[str, ...], ...]
    class_rows: tuple[tuple[str, ...], ...]
    samples: tuple[ExplainedSample, ...]


EXIT_HEADS = ("", "overlap with the last exit", "rank correlation", "deletion", "insertion", "deletion, another map")
CLASS_HEADS = ("", "samples", "overlap of the first and the last exit", "rank correlation")


def trained_network(
    runs: Sequence[RunReport], item: str | None, backbone: nn.Module | None, *, trust_code: bool
) -> tuple[str, EarlyExitNetwork] | None:
    """Return the name and the network of the newest run of `item`, or of the newest run at all; None without a run.

    `runs` are ordered from the oldest to the newest. Raises ExportError and WeightsError for a run that is not whole.
    """
    if not runs:
        return None
    own = [report for report in runs if report.network == item]
    report = (own or list(runs))[-1]
    package, _ = of_run(Path(report.folder), backbone, trust_code)
    return report.network or report.folder.name, package.network.eval()


def explained_facts(name: str, network: EarlyExitNetwork, task: Task) -> ExplainedFacts:
    """Return the facts of a trained network on the test split. Raises InputError as `explain` does."""
    found = explain(network, task)
    exits = tuple("final" if each == network.final else place(each) for each in found.exits)
    table = found.to_table()
    rows = tuple(
        (
            shown,
            percent(each["overlap"]),
            _number(each["spearman"]),
            *(_number(each[key]) for key in ("deletion", "insertion", "shuffled")),
        )
        for shown, each in zip(exits, table["exits"], strict=True)
    )
    return ExplainedFacts(
        title="Where each exit looks",
        sentences=(
            f"{name}, {plural(len(found.labels), 'test sample')}; orange places speak for the last exit's answer at "
            "the input of each exit; deletion (lower is better) and insertion (higher is better) are means of the "
            f"answer's probability at the exit itself, on {len(found.deletion)} of the samples",
            CAUTION,
        ),
        exits=exits,
        exit_rows=rows,
        class_rows=_class_rows(found) if len(exits) > 1 else (),
        samples=_samples(found, network, task),
    )


def _class_rows(found: Explanation) -> tuple[tuple[str, ...], ...]:
    """Return the classes whose first and last exit look at the most different places, then the most similar."""
    rows = [
        (name, f"{count:,}", percent(shared), _number(ranks))
        for name, (count, ranks, shared) in found.by_class().items()
    ]
    return tuple(rows if len(rows) <= 2 * CLASSES else (*rows[:CLASSES], *rows[-CLASSES:]))


def _samples(found: Explanation, network: EarlyExitNetwork, task: Task) -> tuple[ExplainedSample, ...]:
    """Return samples with the least and the most overlap of the first and the last exit, half of them each."""
    known = np.nonzero(np.isfinite(found.overlap[:, 0]))[0]
    order = known[np.argsort(found.overlap[known, 0], kind="stable")]
    half = ROWS // 2
    rows = order if len(order) <= ROWS else np.concatenate([order[:half], order[-half:]])
    raw = task.test.reader(network.transform.inputs)[found.positions[rows]].numpy()
    return tuple(_sample(found, int(row), values) for row, values in zip(rows, raw, strict=True))


def _sample(found: Explanation, row: int, values: NDArray[Any]) -> ExplainedSample:
    is_image = values.ndim == 3
    maps = found.maps[row]
    answers = [int(answer) for answer in found.answers[row]]
    return ExplainedSample(
        label=found.classes[int(found.labels[row])],
        picture=plain_image(values) if is_image else line_drawing(values),
        maps=tuple(over_image(values, each) if is_image else strip(each) for each in maps),
        captions=tuple(
            f"{found.classes[answer]}, {percent(None if np.isnan(shared) else float(shared), 0)}"
            for answer, shared in zip(answers, found.overlap[row], strict=True)
        ),
        right=tuple(answer == found.labels[row] for answer in answers),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:z.2f}"

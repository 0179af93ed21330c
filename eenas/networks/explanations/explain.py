"""Explanations of a network on a task: the places that each exit looks at, their agreement and faithfulness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, plural
from eenas.measurement.macs import count_macs
from eenas.networks.explanations.exit_maps import MapPlaces, exit_maps
from eenas.networks.explanations.faithfulness import STEPS, faithfulness
from eenas.networks.explanations.map_agreement import overlap, spearman
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.tables import batches
from eenas.tasks.load import given_task
from eenas.tasks.task import Task

CAUTION = (
    "Agreement with the final exit is not faithfulness: an exit may look at other places and be right for good "
    "reasons. Deletion and insertion measure whether the places of a map matter to its own exit."
)

MOST, FEWEST = 256, 8
"""The default number of samples is between these."""

MOST_VALUES = 100_000_000
"""The largest number of values of all maps, four bytes each, which are kept and compared."""

FEW = 16
"""Faithfulness is measured on at most this many samples."""

_BUDGET = 4e11  # MACs of each half of the work: some seconds on a core
_BATCH = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """The maps of n test samples at K exits, and measures of them.

    `positions` [n] are those in the test split, `labels` [n] their classes, `targets` [n] the last exit's answers,
    which all maps explain, and `answers` [n, K]. `maps` float32 [n, K, *sides] are those of `exit_maps`. `spearman` and
    `overlap` [n, K] compare each exit's map with the last one's (NaN for a map without evidence). `deletion`,
    `insertion` and `shuffled` [m, K] are the areas of `faithfulness` on the first m <= n samples. `places` [K] names
    the module of each exit's map.
    """

    task: str
    exits: tuple[str, ...]
    places: tuple[str, ...]
    classes: tuple[str, ...]
    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    targets: NDArray[np.int64]
    answers: NDArray[np.int64]
    maps: NDArray[np.float32]
    spearman: NDArray[np.float64]
    overlap: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    shuffled: NDArray[np.float64]

    def by_class(self) -> dict[str, tuple[int, float, float]]:
        """Return for each class the number of samples, and the means of `spearman` and `overlap` at the first exit.

        The classes are those of the labels, from the least to the most overlap of the first and the last exit. Samples
        with a map without evidence are left out, and so are classes without another sample.
        """
        found = {}
        known = np.isfinite(self.overlap[:, 0])
        for label in np.unique(self.labels[known]):
            rows = known & (self.labels == label)
            ranks, shared = (float(values[rows, 0].mean()) for values in (self.spearman, self.overlap))
            found[self.classes[label]] = (int(rows.sum()), ranks, shared)
        return dict(sorted(found.items(), key=lambda item: (item[1][2], item[0])))

    def to_table(self) -> dict[str, Any]:
        """Return the measures as plain data for JSON, without the maps; a mean over no sample is null."""
        means = {name: _means(getattr(self, name)) for name in ("spearman", "overlap", *_AREAS)}
        exits = [
            {"name": name, "map_of": self.places[k], **{key: each[k] for key, each in means.items()}}
            for k, name in enumerate(self.exits)
        ]
        classes = [
            {"class": name, "samples": count, "spearman": ranks, "overlap": shared}
            for name, (count, ranks, shared) in self.by_class().items()
        ]
        counts = {"samples": len(self.labels), "faithfulness_samples": len(self.deletion)}
        return {"task": self.task, **counts, "exits": exits, "first_exit_by_class": classes, "caution": CAUTION}


_AREAS = ("deletion", "insertion", "shuffled")


def explain(
    network: EarlyExitNetwork,
    data: str | Task,
    *,
    samples: int | None = None,
    trust_code: bool = False,
    seed: int = 0,
) -> Explanation:
    """Return where each exit of a trained network looks on `samples` test samples of `data`, a task or its spec.

    The samples are drawn by `seed`. By default their number depends on the network's MACs, so that a call takes some
    seconds. The network does not change. Raises InputError for a network of texts (see `word_relevance`), for an exit
    without places of the input, such as one at a pooled vector, for data of other classes, for a number of samples
    below 1, and for more maps than MOST_VALUES.
    """
    if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int) or samples < 1):
        raise InputError(f"samples must be a whole number of at least 1, got {samples!r:.60}")
    if network.transform.inputs.kind == "text":
        raise InputError(
            "a map needs places of the input, which tokens of a text are not; for the words that count at each exit, "
            "call eenas.networks.explanations.word_relevance.word_relevance(network, text)"
        )
    task = given_task(data, network.transform.inputs, trust_code=trust_code)
    if len(task.classes) != network.design.num_classes:
        counts = (
            f"the network has {plural(network.design.num_classes, 'class', 'classes')}, the data {len(task.classes)}"
        )
        raise InputError(f"{counts}; give data of the classes that it was trained on")
    device = next(network.parameters()).device
    exits, order = len(network.exits), np.random.default_rng(seed).permutation(len(task.test))
    example = next(batches(network, task.test.subset(order[:1]), 1, device))
    macs = max(1.0, float(count_macs(network.backbone, example)))
    count = samples or int(np.clip(_BUDGET / (macs * (1 + 2 * exits)), FEWEST, MOST))
    most = max(1, MOST_VALUES // (exits * example[0, 0].numel()))
    if samples is not None and min(count, len(task.test)) > most:
        raise InputError(f"the maps of {count:,} samples take too much memory; give at most {most:,}")
    count = min(count, most)
    few = int(np.clip(_BUDGET / (macs * 3 * exits * (STEPS + 1)), 2, FEW))
    split = task.test.subset(order[:count])
    maps, logits, places = [], [], MapPlaces.of(network, example)
    areas: list[list[NDArray[np.float64]]] = []
    for x in batches(network, split, _BATCH, device):
        found = exit_maps(network, x, places=places)
        maps.append(found.maps.numpy())
        logits.append(found.logits.numpy())
        names = found.places
        if (left := few - sum(len(each[0]) for each in areas)) > 0:
            target = found.logits[:left, -1].argmax(dim=1)
            measured = faithfulness(network, x[:left], found.maps[:left], target)
            areas.append([getattr(measured, name).double().numpy() for name in _AREAS])
    every, answers = np.concatenate(maps), np.concatenate(logits).argmax(axis=2)
    compared = [(spearman(every[:, k], every[:, -1]), overlap(every[:, k], every[:, -1])) for k in range(exits)]
    deletion, insertion, shuffled = (np.concatenate([each[index] for each in areas]) for index in range(len(_AREAS)))
    return Explanation(
        task=task.name,
        exits=network.exits,
        places=names,
        classes=network.classes or task.classes,
        positions=order[:count],
        labels=np.asarray(split.labels),
        targets=answers[:, -1],
        answers=answers,
        maps=every,
        spearman=np.stack([each[0] for each in compared], axis=1),
        overlap=np.stack([each[1] for each in compared], axis=1),
        deletion=deletion,
        insertion=insertion,
        shuffled=shuffled,
    )


def _means(values: NDArray[np.float64]) -> list[float | None]:
    """Return the means [K] over samples of values [n, K], without NaN; None where all are NaN."""
    known = [column[np.isfinite(column)] for column in values.T]
    return [float(each.mean()) if len(each) else None for each in known]

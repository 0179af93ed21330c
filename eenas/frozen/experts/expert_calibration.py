"""Calibration of the experts of a network: their temperatures and thresholds, fitted on distorted images."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.networks.exit_costs import ExitCosts
from eenas.networks.experts.expert_network import ExpertNetwork
from eenas.networks.experts.expert_tables import routed_table
from eenas.policies.experts.expert_fit import ExpertFitting
from eenas.policies.fit import COMMON
from eenas.policies.rule import Rule
from eenas.seeding import derive
from eenas.tasks.distortions.contexts import CLEAN, context_of
from eenas.tasks.distortions.distortion import distort
from eenas.tasks.distortions.strengths import SEVERITIES
from eenas.tasks.inputs import InputSpec
from eenas.tasks.split import Split

_BATCH = 256

Batch = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]
"""Images uint8 [n, C, H, W], their labels [n] and contexts [n]."""


def fit_experts(
    network: ExpertNetwork,
    split: Split,
    costs: ExitCosts,
    *,
    severities: Sequence[int] = SEVERITIES,
    rule: Rule = COMMON,
    seed: int = 0,
) -> ExpertFitting:
    """Return the fitting of the experts' policies on a calibration split, ready for any budget.

    Each image occurs clean and once for each kind, at a random one of `severities`. Every expert is fitted on the
    images that the classifier sends to it. `costs` are those of `costs_with_classifier`. Raises PolicyError for an
    expert with too few of them.
    """
    pictures = mixed_batches(split, network.transform.inputs, network.names[1:], severities, seed=seed)
    table = routed_table(network, pictures, costs, balanced=split.balanced)
    return ExpertFitting.on(table, network.names, rule)


def mixed_batches(
    split: Split, inputs: InputSpec, kinds: Sequence[str], severities: Sequence[int] = SEVERITIES, *, seed: int = 0
) -> Iterator[Batch]:
    """Yield every image of a split clean, and distorted by each of `kinds` at a random one of `severities`."""
    for images, labels, start in _batches(split, inputs):
        yield images, labels, np.full(len(images), CLEAN)
        for kind in kinds:
            generator = np.random.default_rng((derive(seed, "mixed", kind), start))
            drawn = generator.choice(np.array(severities, dtype=np.int64), size=len(images))
            for severity in np.unique(drawn).tolist():
                rows = np.flatnonzero(drawn == severity)
                changed = distort(images[rows], kind, severity, generator)
                yield changed, labels[rows], np.full(len(rows), context_of(kind, severity))


def pictures_of(
    split: Split, inputs: InputSpec, kind: str | None, severity: int = 0, *, seed: int = 0
) -> Iterator[Batch]:
    """Yield every image of a split distorted by `kind` at `severity`, or clean if `kind` is None."""
    context = CLEAN if kind is None else context_of(kind, severity)
    for images, labels, start in _batches(split, inputs):
        if kind is not None:
            generator = np.random.default_rng((derive(seed, "pictures", kind, severity), start))
            images = distort(images, kind, severity, generator)
        yield images, labels, np.full(len(images), context)


def _batches(split: Split, inputs: InputSpec) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], int]]:
    """Yield images, labels and the position of the first."""
    reader = split.reader(inputs)
    for start in range(0, len(split), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(split)))
        yield reader[rows].numpy(), split.labels[rows], start

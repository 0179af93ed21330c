"""Accuracy under distortions: the mean over contexts, and that of the worst kind."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.class_weights import weighted_accuracy
from eenas.policies.costs import CostValues
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy

DISTORTED, WORST_DISTORTED = "distorted_accuracy", "worst_distorted_accuracy"
MEASURES = (DISTORTED, WORST_DISTORTED)
"""The names of accuracies under distortions, in [0, 1]; higher is better."""


def kind_of_context(context: str) -> str:
    """Return the kind of a context, without the severity: "gaussian_blur" for "gaussian_blur:3"."""
    return context.rpartition(":")[0] or context


def robustness(policy: Policy, table: ExitTable) -> CostValues:
    """Return the accuracy of a policy under distortions by name, from a table of distorted samples with contexts.

    "distorted_accuracy" is the mean over contexts, each of which counts the same, and "worst_distorted_accuracy" the
    lowest mean over the contexts of one kind. Raises PolicyError for a table without contexts.
    """
    return accuracies_under(policy.apply(table).answer == table.labels, table)


def accuracies_under(right: NDArray[np.bool_], table: ExitTable) -> CostValues:
    """Return the accuracies under distortions from whether each sample [N] is answered correctly."""
    found = context_accuracy(right, table)
    kinds: dict[str, list[float]] = {}
    for context, accuracy in found.items():
        kinds.setdefault(kind_of_context(context), []).append(accuracy)
    worst = min(_mean(each) for each in kinds.values())
    return CostValues({DISTORTED: _mean(list(found.values())), WORST_DISTORTED: worst})


def context_accuracy(right: NDArray[np.bool_], table: ExitTable) -> Mapping[str, float]:
    """Return the accuracy in [0, 1] in each context, from whether each sample [N] is answered correctly.

    Raises PolicyError for a table without contexts.
    """
    if table.contexts is None:
        raise PolicyError("accuracy under distortions needs an exit table with contexts, got one without")
    return {
        name: float(weighted_accuracy(right[table.contexts == name], part.weights))
        for name, part in table.by_context().items()
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))

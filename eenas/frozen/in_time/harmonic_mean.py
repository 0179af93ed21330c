"""The harmonic mean of accuracy and earliness, and the policy that has the highest one on held-out answers."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.candidates import candidates
from eenas.policies.costs import EARLINESS
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy

KINDS = ("patience_confidence",)
"""The kinds of policy that are tried, each with every threshold and, where it has one, every patience."""

Values = NDArray[np.float64]


def harmonic_mean(accuracy: Values | float, earliness: Values | float) -> Values:
    """Return 2 a (1 - e) / (a + 1 - e) of accuracies a and earliness e, both in [0, 1]; 0 if a and 1 - e are 0.

    Earliness is the share of a series that was seen (Schäfer and Leser 2020, section 2).
    """
    right, left = np.asarray(accuracy, dtype=np.float64), 1.0 - np.asarray(earliness, dtype=np.float64)
    total = right + left
    return np.asarray(np.where(total > 0, 2 * right * left / np.where(total > 0, total, 1.0), 0.0))


def fit_harmonic_mean(table: ExitTable) -> Policy:
    """Return the policy with the highest harmonic mean on a table with the cost "earliness"; ties go to the earliest.

    The table should hold answers of classifiers that were fitted without its samples, as `FittedInTime.held_out` does.
    """
    temperatures = (1.0,) * table.num_exits
    best: tuple[float, float, Policy] | None = None
    for kind in KINDS:
        tried = candidates(kind, table, temperatures, "max_softmax")
        earliness = tried.costs[EARLINESS]
        means = harmonic_mean(tried.accuracy, earliness)
        index = int(np.lexsort((earliness, -means))[0])
        if best is None or (means[index], -earliness[index]) > best[:2]:
            best = (float(means[index]), -float(earliness[index]), tried.make(index, True))
    assert best is not None
    return best[2]

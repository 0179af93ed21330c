"""Fitting of thresholds per context, each on the calibration samples of its context."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from eenas.errors import PolicyError
from eenas.policies.contexts.robustness import kind_of_context
from eenas.policies.curve import NO_LIMIT
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import COMMON, Fitting
from eenas.policies.kinds.context_policy import ContextPolicy
from eenas.policies.rule import Rule

FEWEST = 50
"""The fewest calibration samples from which the thresholds of a context are fitted."""


def fit_by_context(
    calibration: ExitTable, rule: Rule = COMMON, *, within: Mapping[str, float] = NO_LIMIT
) -> ContextPolicy:
    """Return a policy of a rule for every context and every kind with at least FEWEST samples in the table.

    Each is the most accurate one `within` the limits on its own samples, so that the mean cost holds whatever the mix
    of contexts. The policy for other contexts is fitted on all samples of the table; that of a kind on the samples of
    all its severities. Raises PolicyError for a table without contexts.
    """
    if calibration.contexts is None:
        raise PolicyError("thresholds per context need a calibration table with contexts, got one without")
    kinds = np.array([kind_of_context(str(name)) for name in calibration.contexts])
    parts = calibration.by_context() | {str(kind): calibration.take(kinds == kind) for kind in np.unique(kinds)}
    fitted = {name: Fitting(part, rule).policy(within) for name, part in sorted(parts.items()) if len(part) >= FEWEST}
    return ContextPolicy(
        contexts=tuple(fitted), policies=tuple(fitted.values()), policy=Fitting(calibration, rule).policy(within)
    )


def with_pristine(distorted: ExitTable, pristine: ExitTable, name: str = "clean") -> ExitTable:
    """Return a table of distorted samples followed by pristine ones, which get the context `name`.

    Raises PolicyError for tables of different exits, and for distorted samples without contexts.
    """
    if distorted.contexts is None or distorted.exits != pristine.exits:
        raise PolicyError("distorted samples need contexts and the exits of the pristine ones; tabulate both again")
    contexts = np.concatenate([distorted.contexts, np.full(len(pristine), name)])
    logits = np.concatenate([distorted.logits, pristine.logits])
    labels = np.concatenate([distorted.labels, pristine.labels])
    return replace(pristine, logits=logits, labels=labels, contexts=contexts)

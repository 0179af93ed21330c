"""A network in each context: the accuracy of its policy and exits, where samples leave, calibration, overthinking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eenas.policies.class_weights import weighted_accuracy
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy
from eenas.policies.scores import score

BINS = 15
"""The bins of the expected calibration error, of equal width over the confidence."""


@dataclass(frozen=True, kw_only=True)
class ContextScores:
    """A network with its policy on the samples of one context. Accuracies, errors and shares are in [0, 1].

    `accuracy` and `macs` (expected MACs per sample) are those of the policy. For each of K exits: `exit_accuracy` on
    all samples, `shares` of the samples leaving there, and `calibration_error`, the expected calibration error of the
    temperature-scaled logits on all samples (Guo et al. 2017, equation 3). Overthinking (Kaya et al. 2019): `wasteful`
    samples are right before the final exit and there, `destructive` ones are right before and wrong there.
    `backbone_accuracy` and `backbone_calibration_error` are those of the plain backbone on the same samples, or None.
    """

    context: str
    samples: int
    accuracy: float
    macs: float
    exit_accuracy: tuple[float, ...]
    shares: tuple[float, ...]
    calibration_error: tuple[float, ...]
    wasteful: float
    destructive: float
    backbone_accuracy: float | None = None
    backbone_calibration_error: float | None = None


def scores_in(context: str, policy: Policy, table: ExitTable, temperatures: Sequence[float]) -> ContextScores:
    """Return the scores on a table of samples of one context.

    `temperatures` (K) divide the logits before calibration is judged.
    """
    decisions, correct = policy.apply(table), table.correct()
    leaving = np.bincount(decisions.exit_index, minlength=table.num_exits)
    before = correct[:, :-1].any(axis=1)
    errors = (
        calibration_error(score(table.logits[:, k], float(temperatures[k])), correct[:, k])
        for k in range(table.num_exits)
    )
    return ContextScores(
        context=context,
        samples=len(table),
        accuracy=float(weighted_accuracy(decisions.answer == table.labels, table.weights)),
        macs=float((leaving * table.costs[MACS]).sum() / len(table)),
        exit_accuracy=table.exit_accuracy(),
        shares=tuple((leaving / len(table)).tolist()),
        calibration_error=tuple(errors),
        wasteful=float((before & correct[:, -1]).mean()),
        destructive=float((before & ~correct[:, -1]).mean()),
    )


def beside_backbone(
    scores: Sequence[ContextScores], backbone: Mapping[str, ContextScores]
) -> tuple[ContextScores, ...]:
    """Return the scores with those of the plain backbone, which are given by context."""
    return tuple(
        replace(
            each,
            backbone_accuracy=plain.exit_accuracy[-1],
            backbone_calibration_error=plain.calibration_error[-1],
        )
        if (plain := backbone.get(each.context)) is not None
        else each
        for each in scores
    )


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error in [0, 1] over BINS bins of `confidence` [N], which include upper edges."""
    index = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    sure, correct = (np.bincount(index, weights=each, minlength=BINS) for each in (confidence, right))
    return float(np.abs(sure - correct).sum() / len(confidence))

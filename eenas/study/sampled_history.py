"""The part of a long study that TPE reads, so that a proposal costs the same at trial 10,000 as at trial 500."""

import hashlib
import heapq
from collections.abc import Container
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from eenas.fronts.dominance import pareto_mask

MOST_SAMPLED = 256
"""The number of ended trials up to which TPE reads all, and above which it reads a sample of this size."""
MOST_BEST = 128
"""The largest number of undominated trials that TPE reads besides the sample."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class SampledHistory:
    """Optuna's study as TPE reads it: running trials, undominated ones, and a uniform sample of the others.

    TPE splits trials into at most 25 good ones, which it finds among the undominated, and all others, of which it
    estimates the density: a sample gives the same density in expectation. Which trials are read depends only on their
    numbers and scores, so all workers read the same. Everything but `_get_trials` is that of the study itself.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._known: set[int] = set()
        self._sample: list[tuple[int, int]] = []
        self._best: dict[int, list[float]] = {}
        self._rises = [direction == optuna.study.StudyDirection.MAXIMIZE for direction in study.directions]

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the study."""
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """Return the trials in these states, as Optuna's method of this name; ended ones as the class says."""
        trials = self._study._get_trials(deepcopy=deepcopy, states=states, use_cache=use_cache)
        if len(trials) <= MOST_SAMPLED:
            return trials
        for trial in trials:
            if trial.number not in self._known and trial.state in _ENDED:
                self._add(trial)
        best = sorted(self._best, key=_rank)[:MOST_BEST]
        kept = {*best, *(number for _, number in self._sample)}
        return [trial for trial in trials if trial.state not in _ENDED or trial.number in kept]

    def _add(self, trial: FrozenTrial) -> None:
        self._known.add(trial.number)
        item = (-_rank(trial.number), trial.number)  # the heap holds the numbers of lowest rank, the highest on top
        if len(self._sample) < MOST_SAMPLED:
            heapq.heappush(self._sample, item)
        else:
            heapq.heappushpop(self._sample, item)
        values = trial.values
        feasible = all(value <= 0 for value in trial.constraints.values())
        if values is None or not feasible or np.isnan(values).any():
            return
        rows = {**self._best, trial.number: list(values)}
        keep = pareto_mask(np.array(list(rows.values())), self._rises)
        self._best = {number: row for (number, row), stays in zip(rows.items(), keep, strict=True) if stays}


def _rank(number: int) -> int:
    """Return a number that orders trials as at random, and equally on all machines."""
    return int.from_bytes(hashlib.blake2b(str(number).encode(), digest_size=8).digest(), "big")

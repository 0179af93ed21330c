"""The rule that prunes a trial: its curve stays below most of the earlier ones at the same share of the budget."""

from collections import defaultdict

import numpy as np

from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.policies.costs import MACS
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures
from eenas.records.learning_curves import LearningCurve, LearningCurves

STARTUP = 5
QUANTILE = 0.25
ENDED = 2
"""This many trials must have ended before the usual rise is taken from them."""


class PruningRule:
    """Compares a trial with all trials of its study that have ended, whichever worker ran them, from the records.

    A strategy that trains one exit after another has late curves by its nature, so trials are compared with those of
    the same method only. A trial is pruned when, after at least `STARTUP` others, its hypervolume is below their lower
    quartile by more than the spread between quartiles. All values are of the calibration split, never of validation.
    """

    def __init__(self, curves: LearningCurves, study: str) -> None:
        self._curves, self._study = curves, study
        self._known: set[int] = set()
        self._seen: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._rises: dict[tuple[str, int], list[float]] = defaultdict(list)

    def is_below(self, progress: float, value: float, *, method: str) -> bool:
        """Whether a trial trained by `method` should end with this hypervolume at `progress` in [0, 1]."""
        self._read()
        others = self._seen[method, _step(progress)]
        if len(others) < STARTUP:
            return False
        low, high = np.quantile(others, [QUANTILE, 1 - QUANTILE])
        return bool(value < low - (high - low))

    def rise(self, progress: float, *, method: str) -> float | None:
        """By how much trials of the same method usually rise from here to the end; None where too few have ended."""
        self._read()
        known = self._rises[method, _step(progress)]
        return float(np.median(known)) if len(known) >= ENDED else None

    def add(self, number: int, method: str, values: tuple[tuple[float, float], ...]) -> None:
        """Record the learning curve of a trial that has ended, for this worker and all others."""
        self._curves.save(LearningCurve(study=self._study, number=number, method=method, values=values))

    def _read(self) -> None:
        """Take in the curves that were recorded since the last look."""
        for curve in self._curves.list(self._study, known=self._known):
            self._known.add(curve.number)
            for progress, value in curve.values:
                self._seen[curve.method, _step(progress)].append(value)
                if curve.end is not None:
                    self._rises[curve.method, _step(progress)].append(curve.end - value)


def _step(progress: float) -> int:
    return round(progress * 20)


def curve_hypervolume(table: ExitTable, *, backbone_macs: float, score: str) -> float:
    """The area under the whole curve of a common threshold, accuracy over share of the backbone's MACs.

    It is that curve whatever kind of policy a trial asks for: what is compared is how well networks train.
    """
    curve = common_curve(table, fit_temperatures(table), score)
    chance = 1.0 / table.logits.shape[2]
    shares = curve.costs[MACS] / backbone_macs
    return hypervolume(curve.accuracy, shares, reference_cost=REFERENCE_COST, reference_accuracy=chance)

"""The pruning rule: prune a trial with a curve far below the earlier ones at the same share of the budget."""

from collections import defaultdict

import numpy as np

from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.policies.costs import MACS
from eenas.policies.curve import Curve, common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures
from eenas.records.learning_curves import LearningCurve, LearningCurves
from eenas.study.rivals.frozen_front import MARGIN, FrozenFront

STARTUP = 5
QUANTILE = 0.25
ENDED = 2
"""The number of trials that must have ended before their usual rise is used."""
LATE = 1000
"""A worker that runs misses the curve of a trial that ends after the one that began this many trials later."""


class PruningRule:
    """Compares a trial with all ended trials of its study, of any worker, from the records.

    Trials are compared within the same method only, since a strategy that trains one exit after another has late
    curves. A trial is pruned if at least `STARTUP` others have ended and its hypervolume is below their lower quartile
    by more than the interquartile range. All values are on the calibration split, never on validation. `front` is the
    frozen front of the study, which trials are compared with, too.
    """

    def __init__(self, curves: LearningCurves, study: str, front: FrozenFront | None = None) -> None:
        self._curves, self._study, self._front = curves, study, front or FrozenFront()
        self._known: set[int] = set()
        self._newest = 0
        self._seen: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._rises: dict[tuple[str, int], list[float]] = defaultdict(list)

    def is_below(self, progress: float, value: float, *, method: str) -> bool:
        """Whether to prune a trial trained by `method` with the hypervolume `value` at `progress` in [0, 1]."""
        self._read()
        others = self._seen[method, _step(progress)]
        if len(others) < STARTUP:
            return False
        low, high = np.quantile(others, [QUANTILE, 1 - QUANTILE])
        return bool(value < low - (high - low))

    def is_below_front(self, curve: Curve, backbone_macs: float) -> bool:
        """Whether a curve is more than MARGIN below the frozen front at every cost."""
        return self._front.above(curve.accuracy, curve.costs[MACS] / backbone_macs) < -MARGIN

    def rise(self, progress: float, *, method: str) -> float | None:
        """Return the median rise in hypervolume from `progress` to the end; None if too few trials have ended."""
        self._read()
        known = self._rises[method, _step(progress)]
        return float(np.median(known)) if len(known) >= ENDED else None

    def add(self, number: int, method: str, values: tuple[tuple[float, float], ...]) -> None:
        """Record the learning curve of an ended trial, for all workers."""
        self._curves.save(LearningCurve(study=self._study, number=number, method=method, values=values))

    def _read(self) -> None:
        """Read the curves recorded since the last call. Its cost does not grow with the number of trials."""
        first = max(self._newest - LATE, 0)
        for curve in self._curves.list(self._study, known=self._known, first=first):
            self._known.add(curve.number)
            self._newest = max(self._newest, curve.number)
            for progress, value in curve.values:
                self._seen[curve.method, _step(progress)].append(value)
                if curve.end is not None:
                    self._rises[curve.method, _step(progress)].append(curve.end - value)


def _step(progress: float) -> int:
    return round(progress * 20)


def curve_hypervolume(table: ExitTable, *, backbone_macs: float, score: str) -> float:
    """Return the hypervolume of the curve of a common threshold: accuracy over the share of the backbone's MACs.

    The curve does not depend on the kind of policy of the trial, since pruning compares the training of networks.
    """
    curve = common_curve(table, fit_temperatures(table), score)
    chance = 1.0 / table.logits.shape[2]
    shares = curve.costs[MACS] / backbone_macs
    return hypervolume(curve.accuracy, shares, reference_cost=REFERENCE_COST, reference_accuracy=chance)

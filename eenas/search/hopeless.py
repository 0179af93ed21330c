"""The rule that ends a trial early: its curve stays below most of the earlier ones at the same share of the budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from eenas.fronts.hypervolume import hypervolume
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures

STARTUP = 5
QUANTILE = 0.25
ENDED = 2
"""So many trials have to have ended before the usual rise is taken from them."""


@dataclass
class HopelessRule:
    """Remembers, for every way of training and share of the budget, the hypervolume that trials had reached there, and
    how much those that went on rose from there to their end.

    A strategy that trains one exit after another has late curves by its nature; it is compared with its like only.
    A trial is hopeless when, after at least `STARTUP` others, its hypervolume is below their lower quartile by more
    than the spread between quartiles. All values are of the calibration split, never of validation.
    """

    seen: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    rises: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def is_hopeless(self, progress: float, value: float, *, method: str) -> bool:
        """Add the hypervolume at `progress` in [0, 1] of a trial trained by `method`; whether it should end here."""
        others = self.seen.setdefault((method, _step(progress)), [])
        hopeless = False
        if len(others) >= STARTUP:
            low, high = np.quantile(others, [QUANTILE, 1 - QUANTILE])
            hopeless = value < low - (high - low)
        others.append(value)
        return bool(hopeless)

    def add_end(self, values: Mapping[float, float], end: float, *, method: str) -> None:
        """Add a trial that was trained to its end, with the hypervolume that it had at each progress before."""
        for progress, value in values.items():
            self.rises.setdefault((method, _step(progress)), []).append(end - value)

    def rise(self, progress: float, *, method: str) -> float | None:
        """By how much trials of the same kind usually rise from here to the end; None where too few have ended."""
        known = self.rises.get((method, _step(progress)), [])
        return float(np.median(known)) if len(known) >= ENDED else None


def _step(progress: float) -> int:
    return round(progress * 20)


def curve_hypervolume(table: ExitTable, *, backbone_macs: float, score: str) -> float:
    """The area under the whole curve of a common threshold, accuracy over share of the backbone's MACs.

    It is that curve whatever kind of policy a trial asks for: what is compared is how well networks train.
    """
    curve = common_curve(table, fit_temperatures(table), score)
    chance = 1.0 / table.logits.shape[2]
    return hypervolume(curve.accuracy, curve.macs / backbone_macs, reference_cost=1.1, reference_accuracy=chance)

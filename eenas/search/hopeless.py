"""The rule that ends a trial early: its curve stays below most of the earlier ones at the same share of the budget."""

from dataclasses import dataclass, field

import numpy as np

from eenas.fronts.hypervolume import hypervolume
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures

STARTUP = 5
QUANTILE = 0.25


@dataclass
class HopelessRule:
    """Remembers, for every way of training and share of the budget, the hypervolume that trials had reached there.

    A strategy that trains one exit after another has late curves by its nature; it is compared with its like only.
    A trial is hopeless when, after at least `STARTUP` others, its hypervolume is below their lower quartile by more
    than the spread between quartiles. The value is computed on the calibration split, never on validation.
    """

    seen: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def is_hopeless(self, progress: float, table: ExitTable, *, method: str, backbone_macs: float, score: str) -> bool:
        """Add the state at `progress` in [0, 1] of a trial that is trained by `method`; whether it should end here."""
        value = curve_hypervolume(table, backbone_macs=backbone_macs, score=score)
        others = self.seen.setdefault((method, round(progress * 20)), [])
        hopeless = False
        if len(others) >= STARTUP:
            low, high = np.quantile(others, [QUANTILE, 1 - QUANTILE])
            hopeless = value < low - (high - low)
        others.append(value)
        return bool(hopeless)


def curve_hypervolume(table: ExitTable, *, backbone_macs: float, score: str) -> float:
    """The area under the whole curve of a common threshold, accuracy over share of the backbone's MACs.

    It is that curve whatever kind of policy a trial asks for: what is compared is how well networks train.
    """
    curve = common_curve(table, fit_temperatures(table), score)
    chance = 1.0 / table.logits.shape[2]
    return hypervolume(curve.accuracy, curve.macs / backbone_macs, reference_cost=1.1, reference_accuracy=chance)

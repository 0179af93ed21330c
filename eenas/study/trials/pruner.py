"""The pruner of one trial: prunes it below other trials, below the frozen front, or if training does not pay off."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.policies.costs import MACS
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.pruning import PruningRule, curve_hypervolume
from eenas.tasks.split import Split

HALF = 0.5
"""The share of the budget from which on training has to pay off."""
LIMIT = 1000
"""The largest number of calibration samples used for pruning."""


class TrialPruner:
    """Decides whether to prune one trial, on samples of `calibration`, never of validation.

    `reason` is the reason for pruning, or None. A trial is pruned at any time by `rule`. From half of the budget on, it
    is also pruned if its curve is more than MARGIN below the frozen front at every cost, or if training does not pay
    off: with the usual rise of other trials until the end (accuracy rises while the learning rate falls), it would stay
    below its own branches on the frozen backbone, both over its whole curve and within its target. `frozen` are the
    exit tables of the frozen network, empty without a bank.
    """

    def __init__(
        self, design: Design, context: StudyContext, rule: PruningRule, frozen: Mapping[str, ExitTable]
    ) -> None:
        self._design, self._context, self._rule, self._frozen = design, context, rule, frozen
        self._values: dict[float, float] = {}
        self.reason: str | None = None

    @cached_property
    def _indices(self) -> NDArray[np.int64]:
        """The indices of the samples used for pruning, always the same."""
        size = len(self._context.task.calibration)
        return np.arange(size) if size <= LIMIT else np.random.default_rng(0).permutation(size)[:LIMIT]

    @cached_property
    def part(self) -> Split:
        """The samples used for pruning."""
        return self._context.task.calibration.subset(self._indices)

    def is_over(self, progress: float, table: ExitTable) -> bool:
        """Whether to prune at `progress` in [0, 1), given the exit `table` of the network on `part`."""
        method, macs = self._design.training.method, self._context.profile.total_macs
        value = self._values[progress] = self._area(table)
        if self._rule.is_below(progress, value, method=method):
            self.reason = "pruned: its curve stayed below those of earlier trials"
        elif progress >= HALF and self._frozen:
            curve = common_curve(table, score=self._design.policy.score)
            rise = self._rule.rise(progress, method=method)
            if self._rule.is_below_front(curve, macs):
                self.reason = "pruned: its curve stayed below the frozen front at every cost"
            elif (
                rise is not None
                and value + rise < self._frozen_area
                and self._at_target(table) + rise < self._frozen_at_target
            ):
                self.reason = "pruned: training would end below its own branches on the frozen backbone"
        return self.reason is not None

    def finish(self, number: int, calibration: ExitTable) -> None:
        """Record the learning curve of trial `number`, given the final exit table on `calibration`."""
        values = list(self._values.items())
        if self.reason is None:
            values.append((1.0, self._area(self._rows(calibration))))
        self._rule.add(number, self._design.training.method, tuple(values))

    def _at_target(self, table: ExitTable) -> float:
        """Return the best accuracy within the drawn target, or that of the cheapest point if it exceeds the target.

        A network for a low budget need not be good above it.
        """
        curve = common_curve(table, score=self._design.policy.score)
        within = curve.costs[MACS] <= self._design.policy.target_macs * self._context.profile.total_macs
        return float(curve.accuracy[within].max()) if within.any() else float(curve.accuracy[0])

    def _area(self, table: ExitTable) -> float:
        score, macs = self._design.policy.score, self._context.profile.total_macs
        return curve_hypervolume(table, backbone_macs=macs, score=score)

    def _rows(self, whole: ExitTable) -> ExitTable:
        """Return the rows of a calibration table that belong to `part`."""
        chosen = self._indices
        return whole.take(chosen)

    @cached_property
    def _frozen_at_target(self) -> float:
        return self._at_target(self._rows(self._frozen["calibration"]))

    @cached_property
    def _frozen_area(self) -> float:
        return self._area(self._rows(self._frozen["calibration"]))

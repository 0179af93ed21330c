"""When a trial is pruned: it stays below other trials or the frozen front, or training does not pay for it."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.policies.costs import MACS
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.study.context.study_context import StudyContext
from eenas.study.rivals.frozen_front import MARGIN, FrozenFront
from eenas.study.trials.pruning import PruningRule, curve_hypervolume
from eenas.tasks.split import Split

HALF = 0.5
"""The share of the budget after which training has to pay."""
LIMIT = 1000
"""So many calibration samples are enough to see it."""


class TrialPruner:
    """Follows one trial on some samples of `calibration`, never of validation; `reason` says why it was pruned, if so.

    From half of the budget on, a network is pruned whose curve is nowhere near the frozen front at equal cost. So is
    one that will not exceed what its own branches had on the frozen backbone if it rises from here to the end as others
    did (the falling rate is worth some points), neither over its whole curve nor within its own target: training does
    not pay for it. `frozen` are the exit tables of the frozen network, empty without a bank.
    """

    def __init__(
        self,
        design: Design,
        context: StudyContext,
        rule: PruningRule,
        frozen: Mapping[str, ExitTable],
        front: FrozenFront,
    ) -> None:
        self._design, self._context, self._rule, self._front = design, context, rule, front
        self._frozen = frozen
        self._values: dict[float, float] = {}
        self.reason: str | None = None

    @cached_property
    def _chosen(self) -> NDArray[np.int64]:
        """Which samples are looked at, always the same."""
        size = len(self._context.task.calibration)
        return np.arange(size) if size <= LIMIT else np.random.default_rng(0).permutation(size)[:LIMIT]

    @cached_property
    def part(self) -> Split:
        """The samples that are looked at."""
        return self._context.task.calibration.subset(self._chosen)

    def is_over(self, progress: float, table: ExitTable) -> bool:
        """Whether to prune at `progress` in [0, 1), where the network answers as in `table` on `part`."""
        method, macs = self._design.training.method, self._context.profile.total_macs
        value = self._values[progress] = self._area(table)
        if self._rule.is_below(progress, value, method=method):
            self.reason = "pruned: its curve stayed below the earlier trials'"
        elif progress >= HALF and self._frozen:
            curve = common_curve(table, score=self._design.policy.score)
            rise = self._rule.rise(progress, method=method)
            if self._front.above(curve.accuracy, curve.costs[MACS] / macs) < -MARGIN:
                self.reason = "pruned: its curve stayed below the frozen front at every cost"
            elif (
                rise is not None
                and value + rise < self._frozen_area
                and self._at_target(table) + rise < self._frozen_at_target
            ):
                self.reason = "pruned: training would end below its own branches on the frozen backbone"
        return self.reason is not None

    def finish(self, number: int, calibration: ExitTable) -> None:
        """Record the learning curve of trial `number`, whose network ended with these answers on `calibration`."""
        values = list(self._values.items())
        if self.reason is None:
            values.append((1.0, self._area(self._some(calibration))))
        self._rule.add(number, self._design.training.method, tuple(values))

    def _at_target(self, table: ExitTable) -> float:
        """The accuracy within the drawn target, or of the cheapest point where the target is below it.

        A network for a low budget may give up what lies above that.
        """
        curve = common_curve(table, score=self._design.policy.score)
        within = curve.costs[MACS] <= self._design.policy.target_macs * self._context.profile.total_macs
        return float(curve.accuracy[within].max()) if within.any() else float(curve.accuracy[0])

    def _area(self, table: ExitTable) -> float:
        score, macs = self._design.policy.score, self._context.profile.total_macs
        return curve_hypervolume(table, backbone_macs=macs, score=score)

    def _some(self, whole: ExitTable) -> ExitTable:
        """The rows of a calibration table that belong to `part`."""
        chosen = self._chosen
        return whole.take(chosen)

    @cached_property
    def _frozen_at_target(self) -> float:
        return self._at_target(self._some(self._frozen["calibration"]))

    @cached_property
    def _frozen_area(self) -> float:
        return self._area(self._some(self._frozen["calibration"]))

"""When a trial's training ends early: hopeless beside others, below the frozen front, or not worth its while."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.search.frozen_front import MARGIN, FrozenFront
from eenas.search.hopeless import HopelessRule, curve_hypervolume
from eenas.search.preparation import Ground
from eenas.tasks.split import Split

HALF = 0.5
"""The share of the budget after which training has to pay."""
LIMIT = 1000
"""So many calibration samples are enough to see it."""


class TrialWatch:
    """Watches one trial on some samples of `calibration`, never of validation, and keeps the `reason` why it ended.

    From half of the budget on a network ends whose curve is nowhere near the frozen front at equal cost, and one whose
    curve is still below the one that its own branches had on the frozen backbone: training does not pay for it.
    `frozen` are the exit tables of that, empty without a bank.
    """

    def __init__(
        self,
        design: Design,
        ground: Ground,
        rule: HopelessRule,
        costs: ExitCosts,
        frozen: Mapping[str, ExitTable],
        front: FrozenFront,
    ) -> None:
        self._design, self._ground, self._rule, self._front = design, ground, rule, front
        self._frozen, self._costs = frozen, costs
        self.reason: str | None = None

    @cached_property
    def _chosen(self) -> NDArray[np.int64]:
        """Which samples are looked at, always the same."""
        size = len(self._ground.task.calibration)
        return np.arange(size) if size <= LIMIT else np.random.default_rng(0).permutation(size)[:LIMIT]

    @cached_property
    def part(self) -> Split:
        """The samples that are looked at."""
        return self._ground.task.calibration.subset(self._chosen)

    def is_over(self, progress: float, table: ExitTable) -> bool:
        """Whether training should end at `progress` in [0, 1], where the network answers as in `table` on `part`."""
        design, macs = self._design, self._ground.profile.total_macs
        score = design.policy.score
        if self._rule.is_hopeless(progress, table, method=design.training.method, backbone_macs=macs, score=score):
            self.reason = "hopeless: its curve stayed below the earlier trials'"
        elif progress >= HALF and self._frozen:
            curve = common_curve(table, score=score)
            if self._front.above(curve.accuracy, curve.macs / macs) < -MARGIN:
                self.reason = "hopeless: its curve stayed below the frozen front at every cost"
            elif curve_hypervolume(table, backbone_macs=macs, score=score) < self._frozen_area:
                self.reason = "training did not pay: its curve stayed below the one on the frozen backbone"
        return self.reason is not None

    @cached_property
    def _frozen_area(self) -> float:
        whole = self._frozen["calibration"]
        some = ExitTable(
            logits=whole.logits[self._chosen], labels=whole.labels[self._chosen], exits=whole.exits, macs=whole.macs
        )
        return curve_hypervolume(some, backbone_macs=self._ground.profile.total_macs, score=self._design.policy.score)

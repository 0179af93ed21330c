"""Fitting of the policies of experts, each on the calibration samples that the expert answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eenas.errors import PolicyError
from eenas.policies.costs import MACS
from eenas.policies.curve import NO_LIMIT
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.fit import COMMON, Fitting
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.rule import Rule

FEW = 20
"""The least number of calibration samples of an expert."""


@dataclass(frozen=True, eq=False)
class ExpertFitting:
    """A rule on the calibration samples of each expert, ready to be fitted for any budget.

    Every expert keeps a budget by itself, so that the mean cost holds whatever the mix of distortions.
    """

    names: tuple[str, ...]
    fittings: tuple[Fitting, ...]
    calibration: RoutedTable

    @classmethod
    def on(cls, calibration: RoutedTable, names: Sequence[str], rule: Rule = COMMON) -> "ExpertFitting":
        """Return the fitting on a calibration table. Raises PolicyError for an expert with fewer than FEW samples."""
        fittings = []
        for number, name in enumerate(names):
            own = calibration.of_expert(number)
            if own is None or len(own) < FEW:
                found = 0 if own is None else len(own)
                raise PolicyError(
                    f"the expert {name!r} needs at least {FEW} calibration samples, got {found}; "
                    "calibrate on more samples with its distortion, or leave its kind out"
                )
            fittings.append(Fitting(own, rule))
        return cls(tuple(names), tuple(fittings), calibration)

    @property
    def rule(self) -> Rule:
        """The rule that was fitted, with its kind as it is for the first expert."""
        return self.fittings[0].rule

    def policy(self, within: Mapping[str, float] = NO_LIMIT, *, min_accuracy: float | None = None) -> ExpertPolicy:
        """Return for each expert the most accurate policy `within` the limits; see `Fitting.policy`."""
        found = tuple(each.policy(within, min_accuracy=min_accuracy) for each in self.fittings)
        return ExpertPolicy(names=self.names, policies=found)

    def operating_points(
        self, evaluation: ExitTable, *, limit: int = 64, common: bool = False
    ) -> tuple[OperatingPoint, ...]:
        """Return at most `limit` policies fitted for evenly spaced MACs, evaluated on `evaluation`, by MACs.

        With `common`, a rule with per-exit thresholds uses one threshold for all exits, as in `Fitting`.
        """
        if common and self.rule.per_exit:
            plain = replace(self.rule, per_exit=False)
            return ExpertFitting.on(self.calibration, self.names, plain).operating_points(evaluation, limit=limit)
        macs = evaluation.costs[MACS]
        budgets = np.linspace(macs[0], macs[-1], limit) if limit > 1 else macs[-1:]
        policies = dict.fromkeys(self.policy({MACS: float(budget)}) for budget in budgets)
        return tuple(evaluate(policy, evaluation) for policy in policies)


def fitting_on(calibration: ExitTable, rule: Rule = COMMON) -> Fitting | ExpertFitting:
    """Return the fitting on a calibration table, for each expert if the table knows the expert of each sample."""
    if isinstance(calibration, RoutedTable):
        return ExpertFitting.on(calibration, calibration.names, rule)
    return Fitting(calibration, rule)

"""A trial's scores: operating points, the one fitted for the drawn target, objectives and constraints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import COMMON, Fitting, operating_points
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.search.config import Constraints


@dataclass(frozen=True)
class Scores:
    """`chosen` is fitted on calibration for the target and evaluated on validation, and so is each of `points`.

    `violations` has a value for each constraint that was set, at most 0 where it holds.
    """

    chosen: OperatingPoint
    points: tuple[OperatingPoint, ...]
    exit_accuracy: tuple[float, ...]
    violations: Mapping[str, float]

    def values(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """The objectives in their order: accuracy in [0, 1], expected MACs, expected milliseconds."""
        named = {
            "accuracy": self.chosen.accuracy,
            "macs": self.chosen.expected_macs,
            "latency": self.chosen.expected_latency_ms,
        }
        return tuple(float(named[name] or 0.0) for name in objectives)


def score_tables(
    design: Design,
    tables: Mapping[str, ExitTable],
    costs: ExitCosts,
    constraints: Constraints,
    *,
    backbone_macs: float,
) -> Scores:
    """Fit on the calibration table, evaluate on the validation table. Costs may be fresher than those in the tables."""
    calibration, validation = tables["calibration"], tables["validation"]
    fitting = Fitting(calibration, design.policy)
    chosen = evaluate(fitting.policy(max_macs=design.policy.target_macs * backbone_macs), validation)
    points = fitting.operating_points(validation, common=True)
    if fitting.rule.kind != COMMON.kind:  # a kind with few points does not hide what the network can do
        points = tuple(dict.fromkeys((*points, *operating_points(calibration, validation, limit=32))))
    accuracy = (validation.logits.argmax(axis=2) == validation.labels[:, None]).mean(axis=0)
    violations = _violations(constraints, chosen, costs, len(design.branches))
    return Scores(chosen, points, tuple(float(value) for value in accuracy), violations)


def _violations(constraints: Constraints, chosen: OperatingPoint, costs: ExitCosts, branches: int) -> dict[str, float]:
    found: dict[str, float] = {}
    if constraints.min_accuracy is not None:
        found["min_accuracy"] = constraints.min_accuracy - chosen.accuracy
    if constraints.max_worst_latency_ms is not None and chosen.worst_latency_ms is not None:
        found["max_worst_latency_ms"] = chosen.worst_latency_ms - constraints.max_worst_latency_ms
    if constraints.max_parameters is not None:
        found["max_parameters"] = float(costs.parameters - constraints.max_parameters)
    if constraints.max_branches is not None:
        found["max_branches"] = float(branches - constraints.max_branches)
    return found

"""A trial's scores: operating points, the one fitted for the drawn target, objectives and violated limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.fit import COMMON, Fitting, operating_points
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.policy import Policy
from eenas.policies.right_answers import pack, right_answers
from eenas.study.settings.limits import Limits
from eenas.study.settings.search_spec import ACCURACY

LIMITED = 32
"""Operating points that are added where a limit on the worst case rules out a network's last exits."""


@dataclass(frozen=True)
class Scores:
    """`chosen` is fitted on calibration for the target and evaluated on validation, and so is each of `points`.

    `right` says, packed, which validation samples each of `points` answers rightly. `violations` are those of `chosen`:
    a value for each limit that was set, at most 0 where it holds.
    """

    chosen: OperatingPoint
    points: tuple[OperatingPoint, ...]
    right: tuple[str, ...]
    exit_accuracy: tuple[float, ...]
    violations: Mapping[str, float]

    def values(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """The objectives in their order: accuracy in [0, 1], and expected costs (0 where one was not measured)."""
        named = {**self.chosen.expected, ACCURACY: self.chosen.accuracy}
        return tuple(float(named.get(name, 0.0)) for name in objectives)


def score_tables(
    design: Design,
    tables: Mapping[str, ExitTable],
    costs: ExitCosts,
    limits: Limits,
    *,
    backbone_macs: float,
) -> Scores:
    """Fit on the calibration table, evaluate on the validation table. Costs may be fresher than those in the tables."""
    calibration, validation = tables["calibration"], tables["validation"]
    fitting = Fitting(calibration, design.policy)
    target = design.policy.target_macs
    chosen = evaluate(policy_within(fitting, limits, target_macs=target, backbone_macs=backbone_macs), validation)
    points = fitting.operating_points(validation, common=True)
    if fitting.rule.kind != COMMON.kind:  # a kind with few points does not hide what the network can do
        points = tuple(dict.fromkeys((*points, *operating_points(calibration, validation, limit=32))))
    points = tuple(dict.fromkeys((*points, *points_within_worst(calibration, validation, limits, backbone_macs))))
    accuracy = (validation.logits.argmax(axis=2) == validation.labels[:, None]).mean(axis=0)
    violations = limits.violations(
        chosen, backbone_macs=backbone_macs, branches=len(design.exits) - 1, parameters=costs.parameters
    )
    return Scores(
        chosen,
        points,
        tuple(pack(right_answers(point.policy, validation)) for point in points),
        tuple(float(value) for value in accuracy),
        violations,
    )


def points_within_worst(
    calibration: ExitTable, validation: ExitTable, limits: Limits, backbone_macs: float
) -> tuple[OperatingPoint, ...]:
    """Points at which everybody has left by the last exit that the limits on the worst case allow.

    Without them a network whose last exits are too dear for the limits would have no point but its first exit.
    """
    last = last_allowed(calibration, limits, backbone_macs)
    if last is None:
        return ()
    found = Fitting(calibration.truncate(last + 1)).operating_points(validation.truncate(last + 1), limit=LIMITED)
    behind = calibration.num_exits - last - 1
    return tuple(evaluate(_ended(point.policy, behind), validation) for point in found)


def policy_within(fitting: Fitting, limits: Limits, *, target_macs: float, backbone_macs: float) -> Policy:
    """The policy for an expected cost, a share of the backbone's MACs, within limits on costs.

    Everybody leaves by the last exit that limits on the worst case allow. Where no policy holds the limits on expected
    costs it is the nearest one, which says so.
    """
    calibration = fitting.calibration
    within = {name: limit for name, limit in limits.expected.items() if name in calibration.costs}
    within[MACS] = min(target_macs, limits.expected.get(MACS, target_macs)) * backbone_macs
    last = last_allowed(calibration, limits, backbone_macs)
    if last is None:
        return fitting.policy(within)
    return _ended(Fitting(calibration.truncate(last + 1)).policy(within), calibration.num_exits - last - 1)


def last_allowed(calibration: ExitTable, limits: Limits, backbone_macs: float) -> int | None:
    """The last exit that limits on the worst case allow, None where they allow all or not even the first."""
    allowed = np.ones(calibration.num_exits, dtype=np.bool_)
    for name, limit in limits.worst.items():
        if (costs := calibration.costs.get(name)) is not None:
            allowed &= costs <= (limit * backbone_macs if name == MACS else limit)
    return None if allowed.all() or not allowed[0] else int(np.argmin(allowed)) - 1


def _ended(policy: Policy, behind: int) -> ThresholdPolicy:
    assert isinstance(policy, ThresholdPolicy)  # that is what COMMON fits
    thresholds = (*policy.thresholds, 0.0, *(None,) * (behind - 1))
    return replace(policy, thresholds=thresholds, temperatures=(*policy.temperatures, *(1.0,) * behind))

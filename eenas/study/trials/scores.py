"""The scores of a trial: operating points, the one for the drawn target, objectives and violated limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eenas.designs.design import Design
from eenas.networks.exit_costs import ExitCosts
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.expert_fit import ExpertFitting, fitting_on
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.fit import COMMON, Fitting
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate, with_robustness
from eenas.policies.policy import Policy
from eenas.policies.right_answers import pack, right_answers
from eenas.study.settings.limits import Limits
from eenas.study.settings.search_spec import ACCURACY
from eenas.tasks.distortions.distorted_splits import PREFIX

DISTORTED_VALIDATION = f"{PREFIX}validation"
"""The name of the table of distorted validation samples."""
LIMITED = 32
"""The number of operating points added if a limit on the worst case excludes the last exits of a network."""


@dataclass(frozen=True)
class Scores:
    """The scores of a network. All points are fitted on calibration and evaluated on validation.

    `chosen` is fitted for the drawn target. `right` holds, for each of `points`, the packed list of the validation
    samples that it classifies correctly. `violations` holds a value for each limit on `chosen`, at most 0 if it holds.
    """

    chosen: OperatingPoint
    points: tuple[OperatingPoint, ...]
    right: tuple[str, ...]
    exit_accuracy: tuple[float, ...]
    violations: Mapping[str, float]

    def values(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """Return the objectives in their order: accuracies in [0, 1], and expected costs (0 if not measured)."""
        named = {**self.chosen.expected, **self.chosen.robustness, ACCURACY: self.chosen.accuracy}
        return tuple(float(named.get(name, 0.0)) for name in objectives)


def score_tables(
    design: Design,
    tables: Mapping[str, ExitTable],
    costs: ExitCosts,
    limits: Limits,
    *,
    backbone_macs: float,
) -> Scores:
    """Fit policies on the calibration table and evaluate them on the validation table.

    `costs` gives the parameters of the network; `backbone_macs` are the MACs of the plain backbone. Policies are fitted
    on pristine samples, those of experts on distorted ones, too; with a table "distorted_validation", their accuracies
    there are part of the points.
    """
    calibration, validation, distorted = _calibration(tables), tables["validation"], tables.get(DISTORTED_VALIDATION)
    fitting = fitting_on(calibration, design.policy)
    target = design.policy.target_macs
    policy = policy_within(fitting, limits, target_macs=target, backbone_macs=backbone_macs)
    chosen = with_robustness(evaluate(policy, validation), distorted)
    points = fitting.operating_points(validation, common=True)
    if fitting.rule.kind != COMMON.kind:  # a kind with few points would hide points of the network
        points = tuple(dict.fromkeys((*points, *fitting_on(calibration).operating_points(validation, limit=32))))
    points = tuple(dict.fromkeys((*points, *points_within_worst(calibration, validation, limits, backbone_macs))))
    points = tuple(with_robustness(point, distorted) for point in points)
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


def _calibration(tables: Mapping[str, ExitTable]) -> ExitTable:
    """Return the table that policies are fitted on: experts see distorted samples as well."""
    calibration, distorted = tables["calibration"], tables.get(f"{PREFIX}calibration")
    if isinstance(calibration, RoutedTable) and isinstance(distorted, RoutedTable):
        return RoutedTable.joined((calibration, distorted))
    return calibration


def points_within_worst(
    calibration: ExitTable, validation: ExitTable, limits: Limits, backbone_macs: float
) -> tuple[OperatingPoint, ...]:
    """Return points at which all samples leave by the last exit that the worst-case limits allow.

    Without them, a network with last exits above the limits could only use its first exit.
    """
    last = last_allowed(calibration, limits, backbone_macs)
    if last is None:
        return ()
    found = fitting_on(calibration.truncate(last + 1)).operating_points(validation.truncate(last + 1), limit=LIMITED)
    behind = calibration.num_exits - last - 1
    return tuple(evaluate(_ending_at(point.policy, behind), validation) for point in found)


def policy_within(
    fitting: Fitting | ExpertFitting, limits: Limits, *, target_macs: float, backbone_macs: float
) -> Policy:
    """Return the policy for the expected MACs `target_macs`, a share of the backbone's, within the limits on costs.

    All samples leave by the last exit that the worst-case limits allow. If no policy holds the limits on expected
    costs, the nearest policy is returned, with `within_budget=False`.
    """
    calibration = fitting.calibration
    within = {name: limit for name, limit in limits.expected.items() if name in calibration.costs.mean_names}
    within[MACS] = min(target_macs, limits.expected.get(MACS, target_macs)) * backbone_macs
    last = last_allowed(calibration, limits, backbone_macs)
    if last is None:
        return fitting.policy(within)
    return _ending_at(fitting_on(calibration.truncate(last + 1)).policy(within), calibration.num_exits - last - 1)


def last_allowed(calibration: ExitTable, limits: Limits, backbone_macs: float) -> int | None:
    """Return the last exit that the worst-case limits allow, or None if they allow all exits or not even the first."""
    allowed = np.ones(calibration.num_exits, dtype=np.bool_)
    for name, limit in limits.worst.items():
        if (costs := calibration.costs.get(name)) is not None:
            allowed &= costs <= (limit * backbone_macs if name == MACS else limit)
    if (splits := calibration.costs.splits) is not None:
        allowed &= np.arange(len(allowed)) <= splits.last_allowed()
    return None if allowed.all() or not allowed[0] else int(np.argmin(allowed)) - 1


def _ending_at(policy: Policy, behind: int) -> Policy:
    if isinstance(policy, ExpertPolicy):
        return replace(policy, policies=tuple(_ending_at(each, behind) for each in policy.policies))
    assert isinstance(policy, ThresholdPolicy)  # the kind that COMMON fits
    thresholds = (*policy.thresholds, 0.0, *(None,) * (behind - 1))
    return replace(policy, thresholds=thresholds, temperatures=(*policy.temperatures, *(1.0,) * behind))

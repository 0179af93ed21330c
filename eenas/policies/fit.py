"""Fitting of any kind of policy: policies and operating points from a calibration table and a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eenas.errors import PolicyError
from eenas.policies.candidates import PolicyCandidates, candidates
from eenas.policies.costs import MACS
from eenas.policies.curve import NO_LIMIT
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import GeometricPolicy, ensembled
from eenas.policies.kinds.geometric_fit import Parameters, fit_geometric
from eenas.policies.kinds.most_confident import MostConfidentPolicy, with_most_confident_final
from eenas.policies.kinds.per_exit import MINIMUM_SAMPLES, fit_per_exit
from eenas.policies.kinds.registry import fitted_kind
from eenas.policies.kinds.signal_policy import Evidence
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.learned.selection import LEAST_SAMPLES, POINTS, is_learned, kept_candidates
from eenas.policies.operating_point import OperatingPoint, evaluate, point_of
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures

COMMON = Rule()
"""The default rule: one common threshold on the largest probability."""

_SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class PolicyFrame:
    """The ensemble, temperatures and final rule around a kind of policy: it transforms tables and wraps policies.

    `ensemble` holds the weights and biases of a geometric ensemble, or is None. `temperatures` (K) belong to the exits
    after the ensemble; they are empty if no confidence is compared.
    """

    rule: Rule
    ensemble: Parameters | None
    temperatures: tuple[float, ...]

    @classmethod
    def on(cls, table: ExitTable, rule: Rule, ensemble: Parameters | None) -> "PolicyFrame":
        """Return the frame with temperatures fitted on a table."""
        compared = fitted_kind(rule.kind).compares or rule.final_rule == "most_confident"
        if not compared:
            return cls(rule, ensemble, ())
        shown = table if ensemble is None else ensembled(table, *ensemble)
        return cls(rule, ensemble, tuple(fit_temperatures(shown).tolist()))

    def view(self, table: ExitTable) -> ExitTable:
        """Return the table after ensemble and final rule; without either it is the table itself."""
        shown = table if self.ensemble is None else ensembled(table, *self.ensemble)
        if self.rule.final_rule == "most_confident":
            shown = with_most_confident_final(shown, self.temperatures, self.rule.score)
        return shown

    def wrap(self, policy: Policy) -> Policy:
        """Return the policy that decides on a table as `policy` does on the view of it."""
        if self.rule.final_rule == "most_confident":
            policy = MostConfidentPolicy(score=self.rule.score, temperatures=self.temperatures, policy=policy)
        if self.ensemble is not None:
            policy = GeometricPolicy(weights=self.ensemble[0], biases=self.ensemble[1], policy=policy)
        return policy

    def candidates(self, shown: ExitTable) -> PolicyCandidates:
        """Return the policies of the kind on a table that `view` returned."""
        return candidates(self.rule.kind, shown, self.temperatures, self.rule.score)


class Fitting:
    """A rule on one calibration table, ready to be fitted for any budget.

    The ensemble, the temperatures and the candidates are computed once on `calibration`. A geometric ensemble is kept
    only if it wins; see `kept_ensemble`. So is a learned kind (`kept_candidates`): otherwise `rule` is that of one
    common threshold.
    """

    def __init__(self, calibration: ExitTable, choice: Rule = COMMON) -> None:
        self.calibration = calibration
        self.rule = Rule.of(choice)
        self.frame = PolicyFrame.on(calibration, self.rule, kept_ensemble(calibration, self.rule))
        self._shown = self.frame.view(calibration)
        learned = self._learned()
        if learned is None and is_learned(self.rule.kind):
            self.rule = replace(self.rule, kind=ThresholdPolicy.kind)
            self.frame = replace(self.frame, rule=self.rule)
        self._most_points = None if learned is None else POINTS
        self._candidates = learned or self.frame.candidates(self._shown)

    def _learned(self) -> PolicyCandidates | None:
        """Return the policies of a learned kind; None for other kinds, and if it is not kept."""
        if not is_learned(self.rule.kind):
            return None
        return kept_candidates(self.rule.kind, self._shown, self.frame.temperatures, self.rule.score)

    def policy(self, within: Mapping[str, float] = NO_LIMIT, *, min_accuracy: float | None = None) -> Policy:
        """Return the most accurate policy with mean costs per sample `within` the limits, given by name.

        With `min_accuracy` (in [0, 1]), return the policy with the fewest MACs that is at least as accurate. If no
        policy holds the limits, return the nearest one with `within_budget=False`. Raises PolicyError for a limit below
        0, a limit on an unknown cost, and for `min_accuracy` if each exit has its own threshold.
        """
        if not self.rule.per_exit:
            return self.frame.wrap(self._candidates.best(within, min_accuracy=min_accuracy))
        if min_accuracy is not None:
            raise PolicyError("per-exit thresholds are fitted to cost limits, got min_accuracy; fit a common one")
        temperatures, score = self.frame.temperatures, self.rule.score
        return self.frame.wrap(fit_per_exit(self._shown, temperatures=temperatures, score=score, within=within))

    def operating_points(
        self, evaluation: ExitTable, *, limit: int = 64, common: bool = False
    ) -> tuple[OperatingPoint, ...]:
        """Return at most `limit` policies fitted for evenly spaced expected MACs, evaluated on `evaluation`.

        Each is the most accurate policy within a budget between the cheapest and the dearest policy. They are sorted by
        MACs on the calibration table, without duplicates. With `common`, a rule with per-exit thresholds uses one
        threshold for all exits, which is much faster to fit. A learned kind has at most POINTS, since each holds its
        gates.
        """
        if limit < 1:
            raise PolicyError(f"the limit of operating points must be at least 1, got {limit}")
        _same_exits(self.calibration, evaluation)
        limit = min(limit, self._most_points or limit)
        macs = self._candidates.macs
        budgets = np.linspace(macs[0], macs[-1], limit) if limit > 1 else macs[-1:]
        if self.rule.per_exit and not common:
            policies = dict.fromkeys(self.policy({MACS: float(budget)}) for budget in budgets)
            return tuple(evaluate(policy, evaluation) for policy in policies)
        evidence = Evidence(self.frame.view(evaluation), self.frame.temperatures, self.rule.score)
        return tuple(
            point_of(self.frame.wrap(policy), evaluation, *policy.follow(evidence))
            for policy in dict.fromkeys(self._candidates.best_within(budgets))
        )

    def at_shares(
        self, evaluation: ExitTable, backbone_macs: float, shares: Sequence[float] = _SHARES
    ) -> list[OperatingPoint | None]:
        """Return the best policy for each share of the plain backbone's MACs, evaluated on `evaluation`.

        Each is the most accurate policy within the share on the calibration table. Its MACs on `evaluation` may differ
        slightly. An element is None if no policy is within the share.
        """
        if not backbone_macs > 0:
            raise PolicyError(f"backbone_macs must be positive, got {backbone_macs}")
        _same_exits(self.calibration, evaluation)
        policies = [self.policy({MACS: share * backbone_macs}) for share in shares]
        return [evaluate(policy, evaluation) if policy.within_budget else None for policy in policies]


def fit(
    calibration: ExitTable,
    choice: Rule = COMMON,
    *,
    within: Mapping[str, float] = NO_LIMIT,
    min_accuracy: float | None = None,
) -> Policy:
    """Return the best policy of a rule within limits; see `Fitting.policy`."""
    return Fitting(calibration, choice).policy(within, min_accuracy=min_accuracy)


def operating_points(
    calibration: ExitTable,
    evaluation: ExitTable,
    choice: Rule = COMMON,
    *,
    limit: int = 64,
) -> tuple[OperatingPoint, ...]:
    """Return policies of a rule over all budgets, evaluated on another table; see `Fitting.operating_points`."""
    return Fitting(calibration, choice).operating_points(evaluation, limit=limit)


def fit_at_shares(
    calibration: ExitTable,
    evaluation: ExitTable,
    backbone_macs: float,
    shares: Sequence[float] = _SHARES,
    choice: Rule = COMMON,
) -> list[OperatingPoint | None]:
    """Return policies of a rule for shares of the backbone's MACs on another table; see `Fitting.at_shares`."""
    return Fitting(calibration, choice).at_shares(evaluation, backbone_macs, shares)


def kept_ensemble(table: ExitTable, rule: Rule, *, seed: int = 0) -> Parameters | None:
    """Return the geometric ensemble of a rule if it wins on held-out samples, else None.

    The ensemble is fitted on each half of the table and compared on the other half with the same kind without it, by
    the mean accuracy over costs (`PolicyCandidates.area`). If the ensemble has the higher sum over both halves, it is
    fitted on the whole table. Returns None if a half has fewer than MINIMUM_SAMPLES samples. Under a learned kind, the
    ensemble is judged with one common threshold, and the gates are trained on its outputs.
    """
    if rule.ensemble == "none" or table.num_exits < 2 or len(table) // 2 < MINIMUM_SAMPLES:
        return None
    if is_learned(rule.kind):
        rule = replace(rule, kind=ThresholdPolicy.kind)
    order = np.random.default_rng(seed).permutation(len(table))
    one, other = table.take(order[: len(table) // 2]), table.take(order[len(table) // 2 :])
    gain = 0.0
    for fitted_on, judged_on in ((one, other), (other, one)):
        for ensemble, sign in ((fit_geometric(fitted_on), 1.0), (None, -1.0)):
            frame = PolicyFrame.on(fitted_on, rule, ensemble)
            gain += sign * frame.candidates(frame.view(judged_on)).area()
    return fit_geometric(table) if gain > 0 else None


def declined(choice: Rule, policy: Policy) -> tuple[str, ...]:
    """Return one sentence for each part of a rule that the fitted policy leaves out because it did not win."""
    rule, found = Rule.of(choice), []
    if rule.ensemble != "none" and not isinstance(policy, GeometricPolicy) and policy.num_exits > 1:
        found.append("The ensemble of exits did not win on held-out calibration samples. Each exit decides alone.")
    while isinstance(policy, GeometricPolicy | MostConfidentPolicy):
        policy = policy.policy
    thresholds = policy.thresholds if isinstance(policy, ThresholdPolicy) else ()
    if is_learned(rule.kind) and isinstance(policy, ThresholdPolicy) and policy.num_exits > 1:
        found.append(
            f"The learned policy {rule.kind} did not win on held-out calibration samples, or there were fewer than the "
            f"{LEAST_SAMPLES} that it needs. One threshold for all exits decides."
        )
    if rule.per_exit and len(thresholds) > 1 and len(set(thresholds)) == 1:
        found.append("Per-exit thresholds did not win on held-out calibration samples. All exits share one threshold.")
    return tuple(found)


def _same_exits(fitted_on: ExitTable, evaluated_on: ExitTable) -> None:
    if fitted_on.exits != evaluated_on.exits:
        names = f"{list(fitted_on.exits)} and {list(evaluated_on.exits)}"
        raise PolicyError(f"policies must be fitted and evaluated on tables with the same exits, got {names}")

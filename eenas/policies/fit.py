"""One entry to fit any policy: from a calibration table and a rule to policies and operating points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eenas.errors import PolicyError
from eenas.policies.candidates import Candidates, candidates
from eenas.policies.costs import MACS
from eenas.policies.curve import NO_LIMIT
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import GeometricPolicy, ensembled
from eenas.policies.kinds.geometric_fit import Parameters, fit_geometric
from eenas.policies.kinds.most_confident import MostConfidentPolicy, surest_at_the_end
from eenas.policies.kinds.per_exit import MINIMUM_SAMPLES, fit_per_exit
from eenas.policies.kinds.registry import fitted_kind
from eenas.policies.kinds.signal_policy import Evidence
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import OperatingPoint, evaluate, point_of
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule
from eenas.policies.temperatures import fit_temperatures

COMMON = Rule()
"""The default rule: one common threshold on the largest probability."""

_SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Frame:
    """What stands around the kind of a policy: how it is shown a table, and what its policies are wrapped in.

    `ensemble` holds the weights of a geometric ensemble or is None; `temperatures` (K) are of the exits as shown after
    it, or none where no confidence is compared.
    """

    rule: Rule
    ensemble: Parameters | None
    temperatures: tuple[float, ...]

    @classmethod
    def on(cls, table: ExitTable, rule: Rule, ensemble: Parameters | None) -> "Frame":
        """With the temperatures fitted on a table."""
        compared = fitted_kind(rule.kind).compares or rule.final_rule == "most_confident"
        if not compared:
            return cls(rule, ensemble, ())
        shown = table if ensemble is None else ensembled(table, *ensemble)
        return cls(rule, ensemble, tuple(fit_temperatures(shown).tolist()))

    def view(self, table: ExitTable) -> ExitTable:
        """The table that the kind decides over; the table itself without ensemble and final rule."""
        shown = table if self.ensemble is None else ensembled(table, *self.ensemble)
        if self.rule.final_rule == "most_confident":
            shown = surest_at_the_end(shown, self.temperatures, self.rule.score)
        return shown

    def wrap(self, policy: Policy) -> Policy:
        """The policy that does on a table what `policy` does on the view of it."""
        if self.rule.final_rule == "most_confident":
            policy = MostConfidentPolicy(score=self.rule.score, temperatures=self.temperatures, policy=policy)
        if self.ensemble is not None:
            policy = GeometricPolicy(weights=self.ensemble[0], biases=self.ensemble[1], policy=policy)
        return policy

    def candidates(self, shown: ExitTable) -> Candidates:
        """The kind's policies on a table as shown."""
        return candidates(self.rule.kind, shown, self.temperatures, self.rule.score)


class Fitting:
    """All that one rule can be fitted to on one calibration table; what no budget changes is found once.

    Temperatures are fitted on `calibration`. A geometric ensemble is kept only where it wins: see `kept_ensemble`.
    """

    def __init__(self, calibration: ExitTable, choice: Rule = COMMON) -> None:
        self.calibration = calibration
        self.rule = Rule.of(choice)
        self.frame = Frame.on(calibration, self.rule, kept_ensemble(calibration, self.rule))
        self._shown = self.frame.view(calibration)
        self._candidates = self.frame.candidates(self._shown)

    def policy(self, within: Mapping[str, float] = NO_LIMIT, *, min_accuracy: float | None = None) -> Policy:
        """The most accurate policy whose mean costs of a sample, by name, are `within` the limits.

        With `min_accuracy` (in [0, 1]) the one with the fewest MACs within them that is as accurate. Where the limits
        cannot be held the nearest policy, which says `within_budget=False`. Raises PolicyError for a limit below 0, for
        one on a cost that is not known, and for `min_accuracy` with thresholds for each exit.
        """
        if not self.rule.per_exit:
            return self.frame.wrap(self._candidates.best(within, min_accuracy=min_accuracy))
        if min_accuracy is not None:
            raise PolicyError("thresholds for each exit are fitted to cost limits, got min_accuracy; fit a common one")
        temperatures, score = self.frame.temperatures, self.rule.score
        return self.frame.wrap(fit_per_exit(self._shown, temperatures=temperatures, score=score, within=within))

    def operating_points(
        self, evaluation: ExitTable, *, limit: int = 64, common: bool = False
    ) -> tuple[OperatingPoint, ...]:
        """At most `limit` policies fitted for evenly spaced expected MACs, evaluated on `evaluation`.

        For each budget between the cheapest and the dearest policy the most accurate one within it, by rising MACs on
        the calibration table; equal policies appear once, and a kind with few policies has few points. `common` takes
        one threshold for all exits also where the rule has one for each, whose fitting takes a while.
        """
        if limit < 1:
            raise PolicyError(f"the limit of operating points must be at least 1, got {limit}")
        _same_exits(self.calibration, evaluation)
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
        """For each share of the plain backbone's MACs the policy that spends at most that on the calibration table.

        Each is the most accurate there and evaluated on `evaluation`, where it may spend a little more or less. None
        where no policy spends so little.
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
    """The best policy of a rule within limits: `Fitting.policy`."""
    return Fitting(calibration, choice).policy(within, min_accuracy=min_accuracy)


def operating_points(
    calibration: ExitTable,
    evaluation: ExitTable,
    choice: Rule = COMMON,
    *,
    limit: int = 64,
) -> tuple[OperatingPoint, ...]:
    """Policies of a rule over all budgets, evaluated on another table: `Fitting.operating_points`."""
    return Fitting(calibration, choice).operating_points(evaluation, limit=limit)


def fit_at_shares(
    calibration: ExitTable,
    evaluation: ExitTable,
    backbone_macs: float,
    shares: Sequence[float] = _SHARES,
    choice: Rule = COMMON,
) -> list[OperatingPoint | None]:
    """Policies of a rule for shares of the backbone's MACs, evaluated on another table: `Fitting.at_shares`."""
    return Fitting(calibration, choice).at_shares(evaluation, backbone_macs, shares)


def kept_ensemble(table: ExitTable, rule: Rule, *, seed: int = 0) -> Parameters | None:
    """The geometric ensemble that a rule asks for, where it wins on samples that it was not fitted on, else None.

    It is fitted on either half of the table. On the other half, the rule's kind with it and without it are compared by
    the accuracy that they offer for a cost (`Candidates.area`); only where the ensemble is ahead in both halves' sum is
    it fitted on the whole table. Halves of fewer than MINIMUM_SAMPLES samples decide nothing: then there is none.
    """
    if rule.ensemble == "none" or table.num_exits < 2 or len(table) // 2 < MINIMUM_SAMPLES:
        return None
    order = np.random.default_rng(seed).permutation(len(table))
    one, other = table.take(order[: len(table) // 2]), table.take(order[len(table) // 2 :])
    gain = 0.0
    for fitted_on, judged_on in ((one, other), (other, one)):
        for ensemble, sign in ((fit_geometric(fitted_on), 1.0), (None, -1.0)):
            frame = Frame.on(fitted_on, rule, ensemble)
            gain += sign * frame.candidates(frame.view(judged_on)).area()
    return fit_geometric(table) if gain > 0 else None


def declined(choice: Rule, policy: Policy) -> tuple[str, ...]:
    """What a rule asked for that a policy fitted by it does without, a sentence each: it did not win."""
    rule, found = Rule.of(choice), []
    if rule.ensemble != "none" and not isinstance(policy, GeometricPolicy) and policy.num_exits > 1:
        found.append("The ensemble of exits did not win on held-out calibration samples: every exit decides alone.")
    while isinstance(policy, GeometricPolicy | MostConfidentPolicy):
        policy = policy.policy
    thresholds = policy.thresholds if isinstance(policy, ThresholdPolicy) else ()
    if rule.per_exit and len(thresholds) > 1 and len(set(thresholds)) == 1:
        found.append("A threshold for each exit did not win on held-out calibration samples: they share one.")
    return tuple(found)


def _same_exits(fitted_on: ExitTable, evaluated_on: ExitTable) -> None:
    if fitted_on.exits != evaluated_on.exits:
        names = f"{list(fitted_on.exits)} and {list(evaluated_on.exits)}"
        raise PolicyError(f"policies are fitted and evaluated on tables of the same exits, got {names}")

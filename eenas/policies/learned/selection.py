"""Fitting of a learned kind: gates for several prices of the cost, judged on samples that they were not trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.policies.candidates import PolicyCandidates
from eenas.policies.costs import MACS, Costs
from eenas.policies.curve import Curve, common_curve, signal_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, leave
from eenas.policies.learned.backward_regression import train_backward
from eenas.policies.learned.earliest import train_earliest
from eenas.policies.learned.failure_prediction import train_failure_prediction
from eenas.policies.learned.gate import Rows
from eenas.policies.learned.learned_kinds import (
    LEARNED,
    BackwardRegressionPolicy,
    EarliestPolicy,
    EENetPolicy,
    FailurePredictionPolicy,
    JeiDnnPolicy,
    LearnedToExitPolicy,
    PolicyGradientPolicy,
    ReinforcePolicy,
)
from eenas.policies.learned.learned_policy import LearnedPolicy
from eenas.policies.learned.linear_heads import train_towards_exit, train_wrongness
from eenas.policies.learned.mixture import train_mixture
from eenas.policies.learned.policy_gradient import train_policy_gradient
from eenas.policies.learned.reinforce import train_reinforce
from eenas.policies.learned.training_data import TrainingData, Values
from eenas.policies.scores import branch_scores

PRICES = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.8, 3.2)
"""The prices of the final exit's cost, in accuracy (or nats of cross-entropy), for which gates are trained."""

LEAST_SAMPLES = 400
"""The smallest number of calibration samples for which gates are trained."""

POINTS = 16
"""The largest number of stored operating points of a learned kind; each holds its gates."""

_BUDGETS = 17

Train = Callable[[TrainingData, tuple[float, ...], int], list[tuple[Rows, Rows]]]

TRAINERS: Mapping[str, Train] = {
    PolicyGradientPolicy.kind: train_policy_gradient,
    ReinforcePolicy.kind: train_reinforce,
    BackwardRegressionPolicy.kind: train_backward,
    EENetPolicy.kind: train_mixture,
    JeiDnnPolicy.kind: train_towards_exit,
    LearnedToExitPolicy.kind: train_wrongness,
    FailurePredictionPolicy.kind: train_failure_prediction,
    EarliestPolicy.kind: train_earliest,
}
"""The training of each learned kind."""


@dataclass(frozen=True, eq=False)
class LearnedFit:
    """The gates of a learned kind on a calibration table, and its curves on held-out samples.

    `shapes` holds one policy for each price. `curves` are theirs on the table. `signals` [N, K - 1] of each price come
    from gates that were trained on the other half of the samples, and `held_out` are the curves of these signals.
    """

    table: ExitTable
    shapes: tuple[LearnedPolicy, ...]
    curves: tuple[Curve, ...]
    signals: tuple[Values, ...]
    held_out: tuple[Curve, ...]

    def candidates(self) -> PolicyCandidates:
        """Return the policies of all prices and limits.

        Their costs are those on the table, so that budgets are kept there. Their accuracies are at most those of
        equally expensive policies on held-out samples, so that the choice of price and limit does not reward
        overfitting.
        """
        accuracy = [
            np.minimum(curve.accuracy, np.interp(curve.costs[MACS], other.costs[MACS], other.accuracy))
            for curve, other in zip(self.curves, self.held_out, strict=True)
        ]
        owners, limits, order, costs = _joined(self.curves)

        def make(index: int, within: bool) -> LearnedPolicy:
            return with_limit(self.shapes[int(owners[index])], float(limits[index]), within_budget=within)

        return PolicyCandidates(np.concatenate(accuracy)[order], costs, make)

    def wins(self, temperatures: Sequence[float], score: str) -> bool:
        """Whether the kind beats one common threshold on held-out samples by more than the standard error.

        Both are compared at the same budgets of mean MACs, evenly spaced between the first and the final exit.
        """
        table = self.table
        common = common_curve(table, temperatures, score)
        owners, limits, order, costs = _joined(self.held_out)
        accuracy = np.concatenate([curve.accuracy for curve in self.held_out])[order]
        scores, correct = branch_scores(table.logits, temperatures, score), table.correct()
        rows, macs = np.arange(len(table)), table.costs[MACS]
        gain = np.zeros(len(table))
        for budget in np.linspace(macs[0], macs[-1], _BUDGETS):
            one = _best(accuracy, costs[MACS], budget)
            other = _best(common.accuracy, common.costs[MACS], budget)
            exits = leave(self.signals[int(owners[one])], np.full(scores.shape[1], limits[one]))
            others = leave(scores, np.full(scores.shape[1], common.thresholds[other]))
            gain += correct[rows, exits].astype(np.float64) - correct[rows, others]
        if table.weights is not None:
            gain *= table.weights
        return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def is_learned(kind: str) -> bool:
    """Whether a kind is trained on calibration."""
    return kind in TRAINERS


def can_train(table: ExitTable) -> bool:
    """Whether a table has enough samples, and a branch."""
    return table.num_exits > 1 and len(table) >= LEAST_SAMPLES


def fit_learned(kind: str, table: ExitTable, temperatures: Sequence[float], *, seed: int = 0) -> LearnedFit:
    """Train the gates of a learned kind on a table for which `can_train` holds, and on both of its halves."""
    cls, train = LEARNED[kind], TRAINERS[kind]
    data = TrainingData.of(table, temperatures, cls.inputs)
    shapes = _shapes(cls, train(data, PRICES, seed), temperatures)
    order = np.random.default_rng(seed).permutation(len(table))
    halves = np.sort(order[: len(table) // 2]), np.sort(order[len(table) // 2 :])
    signals = [np.empty((len(table), table.num_exits - 1)) for _ in shapes]
    for fitted_on, judged_on in (halves, halves[::-1]):
        evidence = Evidence(table.take(judged_on), tuple(temperatures))
        trained = _shapes(cls, train(data.take(fitted_on), PRICES, seed), temperatures)
        for found, shape in zip(signals, trained, strict=True):
            found[judged_on] = shape.signals(evidence)
    evidence, correct = Evidence(table, tuple(temperatures)), table.correct()
    return LearnedFit(
        table=table,
        shapes=shapes,
        curves=tuple(signal_curve(shape.signals(evidence), correct, table) for shape in shapes),
        signals=tuple(signals),
        held_out=tuple(signal_curve(each, correct, table) for each in signals),
    )


def kept_candidates(kind: str, table: ExitTable, temperatures: Sequence[float], score: str) -> PolicyCandidates | None:
    """Return the policies of a learned kind, or None if it cannot be trained or does not win on held-out samples."""
    if not can_train(table):
        return None
    found = fit_learned(kind, table, temperatures)
    return found.candidates() if found.wins(temperatures, score) else None


def with_limit(policy: LearnedPolicy, limit: float, *, within_budget: bool = True) -> LearnedPolicy:
    """Return a policy with the same gates and another limit; with infinity no sample leaves early."""
    return type(policy)(
        temperatures=policy.temperatures,
        first=policy.first,
        last=policy.last,
        limit=None if np.isinf(limit) else limit,
        within_budget=within_budget,
    )


def _shapes(
    cls: type[LearnedPolicy], gates: list[tuple[Rows, Rows]], temperatures: Sequence[float]
) -> tuple[LearnedPolicy, ...]:
    return tuple(cls(temperatures=tuple(temperatures), first=first, last=last, limit=None) for first, last in gates)


def _joined(curves: Sequence[Curve]) -> tuple[NDArray[np.int64], Values, NDArray[np.int64], Costs]:
    """Return the curve, the limit and the order of all points of several curves by rising MACs, and their costs."""
    costs = Costs(curves[0].costs.facts, np.concatenate([curve.costs.values for curve in curves], axis=1))
    order = np.argsort(costs[MACS], kind="stable")
    owners = np.concatenate([np.full(len(curve), number) for number, curve in enumerate(curves)])[order]
    return owners, np.concatenate([curve.thresholds for curve in curves])[order], order, costs.at(order)


def _best(accuracy: Values, macs: Values, budget: float) -> int:
    """Return the index of the most accurate of the points, which are sorted by MACs, within a budget."""
    last = int(np.searchsorted(macs, budget * (1 + 1e-9), side="right"))
    return int(np.argmax(accuracy[: max(1, last)]))

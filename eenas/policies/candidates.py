"""All policies of a kind that decide differently on one table, with their accuracy and costs on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.policies.costs import MACS, Costs
from eenas.policies.curve import NO_LIMIT, best_index, signal_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.registry import fitted_kind
from eenas.policies.kinds.signal_policy import Evidence, SignalPolicy, Temperatures


@dataclass(frozen=True, eq=False)
class PolicyCandidates:
    """M policies by rising MACs. `accuracy` [M] and `costs` [M] are means over one table.

    `make(index, within_budget)` returns one of them.
    """

    accuracy: NDArray[np.float64]
    costs: Costs
    make: Callable[[int, bool], SignalPolicy]

    @property
    def macs(self) -> NDArray[np.float64]:
        """The mean MACs [M]."""
        return self.costs[MACS]

    def best(self, within: Mapping[str, float] = NO_LIMIT, *, min_accuracy: float | None = None) -> SignalPolicy:
        """Return the most accurate policy within the limits; ties go to the cheapest (see `best_index`)."""
        index, holds = best_index(self.accuracy, self.costs, within, min_accuracy=min_accuracy)
        return self.make(index, holds)

    def best_within(self, budgets: NDArray[np.float64]) -> list[SignalPolicy]:
        """Return the most accurate policy within each budget of mean MACs (rising), or else the cheapest policy."""
        best = np.zeros(len(self.macs), dtype=np.int64)
        higher = np.append(True, self.accuracy[1:] > np.maximum.accumulate(self.accuracy)[:-1])
        best[higher] = np.nonzero(higher)[0]
        best = np.maximum.accumulate(best)
        last = np.searchsorted(self.macs, budgets * (1 + 1e-9), side="right") - 1
        return [self.make(int(index), True) for index in best[np.maximum(last, 0)]]

    def area(self) -> float:
        """Return the mean of the best accuracy within a cost, over costs from the cheapest policy to the dearest."""
        if self.macs[-1] == self.macs[0]:
            return float(self.accuracy.max())
        best = np.maximum.accumulate(self.accuracy)
        return float((best[:-1] * np.diff(self.macs)).sum() / (self.macs[-1] - self.macs[0]))


def candidates(kind: str, table: ExitTable, temperatures: Temperatures, score: str) -> PolicyCandidates:
    """Return all policies of a kind on a table, each with one limit for all exits.

    Patience with confidence and votes have a curve for each number of exits required. `temperatures` are ignored by
    kinds that compare no confidence.
    """
    evidence = Evidence(table, temperatures, score)
    curves = []
    for make in fitted_kind(kind).shapes(table.num_exits, temperatures, score):
        shape = make(np.inf, True)
        right = shape.answers(evidence) == table.labels[:, None]
        curves.append((make, signal_curve(shape.signals(evidence), right, table)))
    if len(curves) == 1:
        make, curve = curves[0]
        limits = curve.thresholds
        return PolicyCandidates(curve.accuracy, curve.costs, lambda index, within: make(float(limits[index]), within))
    costs = Costs(curves[0][1].costs.facts, np.concatenate([curve.costs.values for _, curve in curves], axis=1))
    order = np.argsort(costs[MACS], kind="stable")
    limits = np.concatenate([curve.thresholds for _, curve in curves])[order]
    shapes = np.concatenate([np.full(len(curve), number) for number, (_, curve) in enumerate(curves)])[order]
    return PolicyCandidates(
        np.concatenate([curve.accuracy for _, curve in curves])[order],
        costs.at(order),
        lambda index, within: curves[shapes[index]][0](float(limits[index]), within),
    )

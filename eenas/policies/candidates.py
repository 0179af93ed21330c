"""Every policy of a kind that decides differently on one table, with what it does there."""

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
class Candidates:
    """M policies by rising MACs: `accuracy` [M] and `costs` [M] are means on one table.

    `make(index, within_budget)` gives one of them.
    """

    accuracy: NDArray[np.float64]
    costs: Costs
    make: Callable[[int, bool], SignalPolicy]

    @property
    def macs(self) -> NDArray[np.float64]:
        """The mean MACs [M]."""
        return self.costs[MACS]

    def best(self, within: Mapping[str, float] = NO_LIMIT, *, min_accuracy: float | None = None) -> SignalPolicy:
        """The most accurate policy within the limits, of equals the cheapest (`best_index`)."""
        index, holds = best_index(self.accuracy, self.costs, within, min_accuracy=min_accuracy)
        return self.make(index, holds)

    def best_within(self, budgets: NDArray[np.float64]) -> list[SignalPolicy]:
        """For each budget of mean MACs, rising, the most accurate policy that costs at most as much, else the first."""
        best = np.zeros(len(self.macs), dtype=np.int64)
        higher = np.append(True, self.accuracy[1:] > np.maximum.accumulate(self.accuracy)[:-1])
        best[higher] = np.nonzero(higher)[0]
        best = np.maximum.accumulate(best)
        last = np.searchsorted(self.macs, budgets * (1 + 1e-9), side="right") - 1
        return [self.make(int(index), True) for index in best[np.maximum(last, 0)]]

    def area(self) -> float:
        """The mean, over costs from the cheapest to the dearest, of the best accuracy that is to be had for them."""
        if self.macs[-1] == self.macs[0]:
            return float(self.accuracy.max())
        best = np.maximum.accumulate(self.accuracy)
        return float((best[:-1] * np.diff(self.macs)).sum() / (self.macs[-1] - self.macs[0]))


def candidates(kind: str, table: ExitTable, temperatures: Temperatures, score: str) -> Candidates:
    """All policies of a kind on a table, each with one limit for all exits.

    Of patience with confidence and of votes there is a curve for each number of exits that have to count.
    `temperatures` are not used where no confidence is compared.
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
        return Candidates(curve.accuracy, curve.costs, lambda index, within: make(float(limits[index]), within))
    costs = Costs(table.costs.facts, np.concatenate([curve.costs.values for _, curve in curves], axis=1))
    order = np.argsort(costs[MACS], kind="stable")
    limits = np.concatenate([curve.thresholds for _, curve in curves])[order]
    shapes = np.concatenate([np.full(len(curve), number) for number, (_, curve) in enumerate(curves)])[order]
    return Candidates(
        np.concatenate([curve.accuracy for _, curve in curves])[order],
        costs.at(order),
        lambda index, within: curves[shapes[index]][0](float(limits[index]), within),
    )

"""Per-exit thresholds, kept only if they beat the common threshold on held-out samples."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eenas.policies.class_weights import weighted_accuracy
from eenas.policies.costs import MACS, mean_cost
from eenas.policies.curve import NO_LIMIT, Curve, best_index, common_curve, fit_common, primary_cost
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import leave
from eenas.policies.kinds.threshold import ThresholdPolicy, midway
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

MINIMUM_SAMPLES = 50
"""The smallest number of samples that must leave at an exit with its own threshold."""

_SAME = 1e-6  # correct answers; weighted sums have rounding errors
_SWEEPS, _BISECTIONS = 6, 10

Vector = NDArray[np.float64]
_Choice = Callable[[NDArray[np.int64], Vector, NDArray[np.int64]], int]
"""Returns the index of the best of S cuts from their correct answers [S], costs [L, S] and leaving samples [S]."""


def fit_per_exit(
    table: ExitTable,
    *,
    temperatures: Sequence[float] | NDArray[np.float64] | None = None,
    score: str = "max_softmax",
    within: Mapping[str, float] = NO_LIMIT,
    seed: int = 0,
) -> ThresholdPolicy:
    """Return per-exit thresholds, fitted by coordinate ascent, or the common threshold if it generalises better.

    Per-exit thresholds are fitted on one half of the table. On the other half they are compared with the most accurate
    common threshold of at most the same cost. If they are more accurate, they are fitted on the whole table and
    returned. Otherwise the result is the common threshold of `fit_common`. So it is for fewer than two branches, for
    fewer than MINIMUM_SAMPLES samples per exit in a half, and for limits that cannot be held (`within_budget=False`).
    For a limit on a cost that depends on the split, the split is the best one of the common threshold.
    """
    fitted = fit_temperatures(table) if temperatures is None else np.asarray(temperatures, dtype=np.float64)
    common = fit_common(table, temperatures=fitted, score=score, within=within)
    few = table.num_exits < 3 or len(table) // 2 < MINIMUM_SAMPLES * table.num_exits
    if few or not common.within_budget or 0 in within.values():
        return common
    if any(name not in table.costs for name in within):
        leaving = np.bincount(common.apply(table).exit_index, minlength=table.num_exits)
        table = replace(table, costs=table.costs.under_best(leaving))
    order = np.random.default_rng(seed).permutation(len(table))
    half, held_out = table.take(order[: len(table) // 2]), table.take(order[len(table) // 2 :])
    trial = _Ascent(half, fitted, score, within).fit()
    if trial is None or not _wins(trial, held_out, fitted, score, by=primary_cost(table.costs, within)):
        return common
    best = _Ascent(table, fitted, score, within).fit()
    return common if best is None else _policy(best, fitted, score)


def _wins(limits: Vector, held_out: ExitTable, temperatures: Vector, score: str, *, by: str) -> bool:
    """Whether per-exit thresholds beat the common one on a table at the same or lower mean of the cost `by`."""
    done = _policy(limits, temperatures, score).apply(held_out)
    curve = common_curve(held_out, temperatures, score)
    cost = mean_cost(np.bincount(done.exit_index, minlength=held_out.num_exits), held_out.costs[by])
    affordable = curve.accuracy[curve.costs[by] <= cost * (1 + 1e-9)]
    return len(affordable) > 0 and bool(
        weighted_accuracy(done.answer == held_out.labels, held_out.weights) > affordable[-1]
    )


def _policy(limits: Vector, temperatures: Vector, score: str) -> ThresholdPolicy:
    return ThresholdPolicy(
        score=score,
        temperatures=tuple(temperatures.tolist()),
        thresholds=tuple(None if math.isinf(value) else value for value in limits.tolist()),
    )


class _Ascent:
    """Coordinate ascent over thresholds on one table. Each step is exact in one threshold with the others fixed."""

    def __init__(self, table: ExitTable, temperatures: Vector, score: str, within: Mapping[str, float]) -> None:
        self.table, self.temperatures, self.score, self.limits = table, temperatures, score, within
        self.scores = branch_scores(table.logits, temperatures, score)
        self.order = np.argsort(-self.scores, axis=0, kind="stable")
        correct = table.correct()
        self.counted = correct.astype(np.int64) if table.weights is None else correct * table.weights[:, None]
        shares = [table.costs[name] / within[name] for name in table.costs.names if name in within]
        # Costs [L, K] as shares of the L limits: a mean of 1 reaches a limit. Without limits any cost is allowed.
        self.costs = np.stack(shares or [table.costs[MACS] / table.costs[MACS][-1]])
        self.most = 1 + 1e-9 if shares else math.inf

    def fit(self) -> Vector | None:
        """Return thresholds [K - 1] within the limits that are more accurate than the common one, or None."""
        curve = common_curve(self.table, self.temperatures, self.score)
        index, _ = best_index(curve.accuracy, curve.costs, self.limits)
        common = np.full(self.scores.shape[1], curve.thresholds[index])
        price = mean_cost(curve.leaving[:, None], self.costs).sum(axis=1)
        best, most = None, float(curve.accuracy[index]) * len(self.table) + _SAME
        for start in (common, *self._priced(common, curve, price)):
            for limits in self._sweeps(start, self._within):
                right = self._right(limits)
                if right > most and self._valid(limits):
                    best, most = limits, right
        return best

    def _priced(self, common: Vector, curve: Curve, cost: Vector) -> list[Vector]:
        """Return solutions of max accuracy - price * cost within the limits, for prices found by bisection."""
        low, high = 0.0, 10.0
        found: list[Vector] = []
        for _ in range(_BISECTIONS):
            price = 0.5 * (low + high)
            shared = np.full(len(common), curve.thresholds[int(np.argmax(curve.accuracy - price * cost))])
            end = self._sweeps(shared, self._at_price(price))[-1]
            if self._holds(end):
                found.append(end)
                high = price
            else:
                low = price
        return found[-2:]

    def _sweeps(self, start: Vector, choose: _Choice) -> list[Vector]:
        """Return the start and the thresholds after each sweep over all exits, until a sweep changes nothing."""
        found = [start]
        for _ in range(_SWEEPS):
            limits = found[-1].copy()
            for j in range(len(limits)):
                limits[j] = self._coordinate(j, limits, choose)
            if (limits == found[-1]).all():
                break
            found.append(limits)
        return found

    def _coordinate(self, j: int, limits: Vector, choose: _Choice) -> float:
        """Return the best threshold of exit j with the others fixed. It cuts the samples, sorted by score, once."""
        before = leave(self.scores[:, :j], limits[:j])
        reaching = before == j
        without = limits.copy()
        without[: j + 1] = np.inf
        later = leave(self.scores, without)
        sorted_samples = self.order[:, j][reaching[self.order[:, j]]]
        value = self.scores[sorted_samples, j]
        onward = later[sorted_samples]
        gain = self.counted[sorted_samples, j] - self.counted[sorted_samples, onward]
        saving = self.costs[:, onward] - self.costs[:, j : j + 1]
        # The numbers m of leaving samples: 0 and every m >= MINIMUM_SAMPLES that does not separate equal scores.
        sizes = np.nonzero(np.append(value[1:] != value[:-1], True))[0] + 1 if len(value) else np.zeros(0, np.int64)
        sizes = np.concatenate([[0], sizes[sizes >= MINIMUM_SAMPLES]]).astype(np.int64)
        right = np.concatenate([[0], np.cumsum(gain)])[sizes]
        saved = np.concatenate([np.zeros((len(saving), 1)), np.cumsum(saving, axis=1)], axis=1)[:, sizes]
        others = np.where(reaching, later, before)
        right = right + self.counted[np.arange(len(others)), others].sum()
        cost = (self.costs[:, others].sum(axis=1, keepdims=True) - saved) / len(others)
        size = int(sizes[choose(right, cost, sizes)])
        if size == 0:
            return math.inf
        return float(midway(value[size : size + 1], value[size - 1 : size])[0]) if size < len(value) else 0.0

    def _at_price(self, price: float) -> _Choice:
        samples = len(self.table)
        return lambda right, cost, sizes: int(np.argmax(right / samples - price * cost.sum(axis=0)))

    def _within(self, right: NDArray[np.int64], cost: Vector, sizes: NDArray[np.int64]) -> int:
        """Return the cut within the limits with the most correct answers, ties to the cheapest; else the cheapest."""
        affordable = (cost <= self.most).all(axis=0)
        total = cost.sum(axis=0)
        if not affordable.any():
            return int(np.argmin(total))
        return int(np.lexsort((total, -np.where(affordable, right, -1)))[0])

    def _leaving(self, limits: Vector) -> NDArray[np.int64]:
        return np.bincount(leave(self.scores, limits), minlength=self.table.num_exits)

    def _right(self, limits: Vector) -> float:
        exit_index = leave(self.scores, limits)
        return float(self.counted[np.arange(len(exit_index)), exit_index].sum())

    def _holds(self, limits: Vector) -> bool:
        return bool((mean_cost(self._leaving(limits)[None], self.costs) <= self.most).all())

    def _valid(self, limits: Vector) -> bool:
        """Whether the limits hold and enough samples leave at every reached exit with a finite threshold."""
        backed = self._leaving(limits)[:-1] >= MINIMUM_SAMPLES
        met = np.concatenate([[True], np.cumprod(limits[:-1] > 0).astype(np.bool_)])
        return self._holds(limits) and bool((backed | np.isinf(limits) | ~met).all())

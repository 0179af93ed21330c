"""A threshold of its own for each exit, kept only where it beats the common one on samples it was not fitted on."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eenas.policies.class_weights import share_right
from eenas.policies.costs import MACS, mean_cost
from eenas.policies.curve import NO_LIMIT, Curve, best_index, common_curve, decisive, fit_common
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import leave
from eenas.policies.kinds.threshold import ThresholdPolicy, midway
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

MINIMUM_SAMPLES = 50
"""A threshold of its own must be backed by at least this many samples that leave there."""

_SAME = 1e-6  # right answers, of which weights make sums that are rounded
_SWEEPS, _BISECTIONS = 6, 10

Vector = NDArray[np.float64]
_Choice = Callable[[NDArray[np.int64], Vector, NDArray[np.int64]], int]
"""From the right answers [S], costs [L, S] and leaving samples [S] of S cuts to the index of the best cut."""


def fit_per_exit(
    table: ExitTable,
    *,
    temperatures: Sequence[float] | NDArray[np.float64] | None = None,
    score: str = "max_softmax",
    within: Mapping[str, float] = NO_LIMIT,
    seed: int = 0,
) -> ThresholdPolicy:
    """Thresholds for each exit by coordinate ascent, or the common one of `fit_common`, whichever generalises.

    Both are fitted on one half of the table for the same limits and compared on the other half: the common policy
    there with the threshold that spends at most as much as the thresholds for each exit do. Only where those are more
    often right are they fitted on the whole table and returned. A table with fewer than MINIMUM_SAMPLES samples for
    each exit in either half, or with fewer than two branches, gets the common threshold, and so does a limit that is
    below what is reachable (`within_budget=False`).
    """
    fitted = fit_temperatures(table) if temperatures is None else np.asarray(temperatures, dtype=np.float64)
    common = fit_common(table, temperatures=fitted, score=score, within=within)
    few = table.num_exits < 3 or len(table) // 2 < MINIMUM_SAMPLES * table.num_exits
    if few or not common.within_budget or 0 in within.values():
        return common
    order = np.random.default_rng(seed).permutation(len(table))
    half, held_out = table.take(order[: len(table) // 2]), table.take(order[len(table) // 2 :])
    trial = _Ascent(half, fitted, score, within).fit()
    if trial is None or not _wins(trial, held_out, fitted, score, by=decisive(table.costs, within)):
        return common
    best = _Ascent(table, fitted, score, within).fit()
    return common if best is None else _policy(best, fitted, score)


def _wins(limits: Vector, held_out: ExitTable, temperatures: Vector, score: str, *, by: str) -> bool:
    """Whether thresholds are more accurate on a table than a common one that costs at most as much there, by `by`."""
    done = _policy(limits, temperatures, score).apply(held_out)
    curve = common_curve(held_out, temperatures, score)
    cost = mean_cost(np.bincount(done.exit_index, minlength=held_out.num_exits), held_out.costs[by])
    affordable = curve.accuracy[curve.costs[by] <= cost * (1 + 1e-9)]
    return len(affordable) > 0 and bool(share_right(done.answer == held_out.labels, held_out.weights) > affordable[-1])


def _policy(limits: Vector, temperatures: Vector, score: str) -> ThresholdPolicy:
    return ThresholdPolicy(
        score=score,
        temperatures=tuple(temperatures.tolist()),
        thresholds=tuple(None if math.isinf(value) else value for value in limits.tolist()),
    )


class _Ascent:
    """Coordinate ascent over thresholds on one table: exact in one exit's threshold while the others stand."""

    def __init__(self, table: ExitTable, temperatures: Vector, score: str, within: Mapping[str, float]) -> None:
        self.table, self.temperatures, self.score, self.limits = table, temperatures, score, within
        self.scores = branch_scores(table.logits, temperatures, score)
        self.order = np.argsort(-self.scores, axis=0, kind="stable")
        correct = table.correct()
        self.counted = correct.astype(np.int64) if table.weights is None else correct * table.weights[:, None]
        shares = [table.costs[name] / within[name] for name in table.costs.names if name in within]
        # Costs [L, K] as shares of the L limits, each of which a mean may reach; without a limit nothing is too dear.
        self.costs = np.stack(shares or [table.costs[MACS] / table.costs[MACS][-1]])
        self.most = 1 + 1e-9 if shares else math.inf

    def fit(self) -> Vector | None:
        """Thresholds [K - 1] that are more accurate than the common one within the limits, or None."""
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
        """Solutions of max accuracy - price * cost within the limits, for prices found by bisection."""
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
        """Thresholds after every sweep over all exits, the start first, until a sweep changes nothing."""
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
        """The best threshold of exit j while the others stand: sort by score, sum up, cut between distinct scores."""
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
        # Where m samples leave, for m = 0 and every m >= MINIMUM_SAMPLES that does not part equal scores.
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
        """The cut within the limits with the most right answers, of equals the cheapest; else the cheapest."""
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
        """Whether the limits hold and every threshold that is met is backed by enough samples that leave there."""
        backed = self._leaving(limits)[:-1] >= MINIMUM_SAMPLES
        met = np.concatenate([[True], np.cumprod(limits[:-1] > 0).astype(np.bool_)])
        return self._holds(limits) and bool((backed | np.isinf(limits) | ~met).all())

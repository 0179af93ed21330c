"""The exact curve of one common limit, with every threshold that decides differently from its neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.costs import MACS, Costs, key_of
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy, midway
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures

_SLACK = 1e-9
"""The relative tolerance of a limit, for rounding errors in means over samples."""

NO_LIMIT: Mapping[str, float] = MappingProxyType({})
"""No limit on any cost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """All M operating points of a common threshold on one table, from the cheapest to the most expensive.

    `thresholds` float64 [M] rise from 0 (all samples leave at the first exit) to infinity (no sample leaves early). The
    others lie midway between distinct scores. `accuracy` [M] is in [0, 1]. `costs` [M] are means over samples; the MACs
    are strictly increasing. `leaving` int64 [M, K] counts the samples that leave at each exit.
    """

    thresholds: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    costs: Costs
    leaving: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of points M."""
        return len(self.thresholds)


def common_curve(
    table: ExitTable,
    temperatures: Sequence[float] | NDArray[np.float64] | None = None,
    score: str = "max_softmax",
) -> Curve:
    """Return the whole curve in O(N K log(N K)). Temperatures default to those fitted on the table.

    Every common threshold on these scores gives one of the points.
    """
    return signal_curve(branch_scores(table.logits, _temperatures(table, temperatures), score), table.correct(), table)


def signal_curve(signals: NDArray[np.float64], correct: NDArray[np.bool_], table: ExitTable) -> Curve:
    """Return the whole curve of one limit on signals [N, K - 1], with `correct` [N, K] and the costs of `table`.

    Signals are not negative, or minus infinity where no sample can leave. A sample leaves at exit k for limits above
    its highest earlier signal and up to its signal at k. As the limit falls, the sample moves at each of its record
    signals from the next record exit (at first the final one) to this one. The curve is the cumulative sum of all moves
    sorted by signal.
    """
    samples, branches = signals.shape
    counted = correct.astype(np.int64) if table.weights is None else correct * table.weights[:, None]
    arrival = np.full(samples, branches)
    values, origins, targets, gains = [], [], [], []
    best_before = np.maximum.accumulate(signals, axis=1)
    for k in range(branches - 1, -1, -1):
        higher = signals[:, 0] > -np.inf if k == 0 else signals[:, k] > best_before[:, k - 1]
        movers = np.nonzero(higher)[0]
        values.append(signals[movers, k])
        origins.append(arrival[movers])
        targets.append(np.full(len(movers), k))
        gains.append(counted[movers, k] - counted[movers, arrival[movers]])
        arrival[movers] = k
    right = np.array([counted[:, -1].sum()])
    leaving = np.zeros((1, branches + 1), dtype=np.int64)
    leaving[0, -1] = samples
    thresholds = np.array([np.inf])
    if branches:
        value = np.concatenate(values)
        order = np.argsort(-value, kind="stable")
        value = value[order]
        last = np.nonzero(np.append(value[1:] != value[:-1], True))[0]
        right = np.concatenate([right, right + np.cumsum(np.concatenate(gains)[order])[last]])
        origin, target = np.concatenate(origins)[order], np.concatenate(targets)[order]
        moved = np.empty((len(last), branches + 1), dtype=np.int64)
        for k in range(branches + 1):
            moved[:, k] = np.cumsum((target == k).astype(np.int64) - (origin == k))[last]
        leaving = np.concatenate([leaving, leaving + moved])
        distinct = value[last]
        thresholds = np.concatenate([thresholds, midway(distinct[1:], distinct[:-1]), [0.0]])
    leaving = np.ascontiguousarray(leaving[::-1])
    return Curve(
        thresholds=thresholds[::-1].copy(),
        accuracy=right[::-1] / samples,
        costs=table.costs.mean(leaving),
        leaving=leaving,
    )


def fit_common(
    table: ExitTable,
    *,
    temperatures: Sequence[float] | NDArray[np.float64] | None = None,
    score: str = "max_softmax",
    within: Mapping[str, float] = NO_LIMIT,
    min_accuracy: float | None = None,
) -> ThresholdPolicy:
    """Return the policy with the best common threshold on a table, usually of the calibration split.

    `within` limits mean costs per sample by name, in the units of the table. The result is the most accurate point
    within the limits; ties go to the fewest MACs. With `min_accuracy` (in [0, 1]) it is the point with the fewest MACs
    that is at least as accurate. If no point is within the cost limits, it is the cheapest one. If only `min_accuracy`
    is out of reach, it is the most accurate one. In both cases the policy has `within_budget=False`.
    """
    fitted = _temperatures(table, temperatures)
    curve = common_curve(table, fitted, score)
    index, holds = best_index(curve.accuracy, curve.costs, within, min_accuracy=min_accuracy)
    return common_policy(float(curve.thresholds[index]), fitted, score, within_budget=holds)


def common_policy(
    threshold: float, temperatures: Sequence[float] | NDArray[np.float64], score: str, *, within_budget: bool = True
) -> ThresholdPolicy:
    """Return the policy with one threshold for all exits. With infinity no sample leaves early."""
    value = None if np.isinf(threshold) else float(threshold)
    return ThresholdPolicy(
        score=score,
        temperatures=tuple(float(temperature) for temperature in temperatures),
        thresholds=(value,) * (len(temperatures) - 1),
        within_budget=within_budget,
    )


def best_index(
    accuracy: NDArray[np.float64],
    costs: Costs,
    within: Mapping[str, float] = NO_LIMIT,
    *,
    min_accuracy: float | None = None,
) -> tuple[int, bool]:
    """Return the index of the point that `fit_common` chooses among M >= 1, and whether it holds all limits.

    The points may be in any order. Raises PolicyError for a limit below 0 or on an unknown cost.
    """
    limits = {f"max_{key_of(name)}": limit for name, limit in within.items()}
    if min_accuracy is not None:
        limits["min_accuracy"] = min_accuracy
    for key, limit in limits.items():
        if not limit >= 0:
            raise PolicyError(f"{key} must be at least 0, got {limit}")
    affordable = np.ones(len(accuracy), dtype=np.bool_)
    for name, limit in within.items():
        if name not in costs:
            raise PolicyError(
                f"max_{key_of(name)} needs a table with this cost, got {', '.join(costs.names)}; measure the cost first"
            )
        affordable &= costs[name] <= limit * (1 + _SLACK)
    macs = costs[MACS]
    cheapest = int(np.argmin(costs[primary_cost(costs, within)]))
    if not affordable.any():
        return cheapest, False
    candidates = np.nonzero(affordable)[0]
    most = accuracy[candidates].max()
    wanted = most if min_accuracy is None else min(most, min_accuracy - _SLACK)
    good = candidates[accuracy[candidates] >= wanted]
    return int(good[np.argmin(macs[good])]), min_accuracy is None or bool(most >= min_accuracy - _SLACK)


def primary_cost(costs: Costs, within: Mapping[str, float]) -> str:
    """Return the cost that defines the cheapest point: the first limited one, else the MACs."""
    return next((name for name in costs.names if name in within), MACS)


def _temperatures(table: ExitTable, temperatures: Sequence[float] | NDArray[np.float64] | None) -> NDArray[np.float64]:
    return fit_temperatures(table) if temperatures is None else np.asarray(temperatures, dtype=np.float64)

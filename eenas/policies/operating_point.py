"""Operating points: a policy fitted on one split, with its accuracy and costs on another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, SpecError, nearest
from eenas.policies.curve import Curve, common_curve, common_policy, fit_common, mean_cost
from eenas.policies.exit_table import ExitTable
from eenas.policies.per_exit import fit_per_exit
from eenas.policies.scores import branch_scores
from eenas.policies.temperatures import fit_temperatures
from eenas.policies.threshold import Decisions, ThresholdPolicy

_OPTIONAL = ("expected_latency_ms", "worst_latency_ms")


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a policy does on a table: `accuracy` in [0, 1], mean and worst MACs and milliseconds of a sample.

    The worst case is the dearest exit that any sample may reach, whether one of this table did or not: the final exit
    unless a threshold of 0 stops everybody before. `shares` (K, summing to one) leave at each exit, and
    `exit_accuracy` (K) is the accuracy of those who leave there, None where nobody does.
    """

    policy: ThresholdPolicy
    accuracy: float
    expected_macs: float
    worst_macs: float
    shares: tuple[float, ...]
    exit_accuracy: tuple[float | None, ...]
    expected_latency_ms: float | None = None
    worst_latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Convert sequences to tuples and refuse numbers that do not fit together."""
        shares, accuracies = tuple(self.shares), tuple(self.exit_accuracy)
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "exit_accuracy", accuracies)
        costs = (self.expected_macs, self.worst_macs, self.expected_latency_ms, self.worst_latency_ms)
        numbers = (self.accuracy, self.expected_macs, self.worst_macs, *shares)
        if not all(isinstance(value, int | float) for value in numbers):
            raise PolicyError(f"accuracy, MACs and shares of an operating point must be numbers, got {numbers}")
        optional = (*costs[2:], *accuracies)
        if not all(value is None or isinstance(value, int | float) for value in optional):
            raise PolicyError(f"latencies and exit accuracies must be numbers or null, got {optional}")
        if len(shares) != self.policy.num_exits or len(accuracies) != self.policy.num_exits:
            counts = f"{len(shares)} shares and {len(accuracies)} accuracies for {self.policy.num_exits} exits"
            raise PolicyError(f"an operating point needs a share and an accuracy for each exit, got {counts}")
        if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise PolicyError(f"the shares of an operating point must sum to one, got {sum(shares)}")

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON; the latencies are left out where they were not measured."""
        table: dict[str, Any] = {"policy": self.policy.to_table()}
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None:
                table[field.name] = list(value) if isinstance(value, tuple) else value
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """The inverse of `to_table`. Raises SpecError for unknown and missing keys, PolicyError for bad values."""
        where = ": ".join(part for part in (file, f"[{key}]" if key else "") if part) or "an operating point"
        if not isinstance(table, Mapping):
            raise SpecError(f"{where}: must be a table, got {table!r}")
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in table if name not in names]:
            raise SpecError(f"{where}: unknown key {unknown[0]!r}; {nearest(str(unknown[0]), names)}")
        if missing := [name for name in names if name not in table and name not in _OPTIONAL]:
            raise SpecError(f"{where}: the key {missing[0]!r} is missing; add it")
        for name in ("shares", "exit_accuracy"):
            if not isinstance(table[name], list | tuple):
                raise SpecError(f"{where}: {name} must be a list, got {table[name]!r}")
        policy = ThresholdPolicy.from_table(table["policy"], file=file, key=f"{key}.policy" if key else "policy")
        return cls(**{**table, "policy": policy})


def evaluate(policy: ThresholdPolicy, table: ExitTable) -> OperatingPoint:
    """What a policy does on a table. Raises PolicyError when the table has another number of exits."""
    return _point(policy, table, policy.apply(table))


def operating_points(
    calibration: ExitTable,
    validation: ExitTable,
    *,
    score: str = "max_softmax",
    limit: int = 64,
    per_exit: bool = False,
) -> tuple[OperatingPoint, ...]:
    """At most `limit` policies fitted on `calibration` for evenly spaced expected MACs, evaluated on `validation`.

    For each budget between the cheapest and the dearest exit the most accurate point within it, by rising MACs on
    `calibration`; equal policies appear once. `per_exit` offers each budget thresholds of their own (`fit_per_exit`).
    """
    if limit < 1:
        raise PolicyError(f"the limit of operating points must be at least 1, got {limit}")
    _same_exits(calibration, validation)
    temperatures = fit_temperatures(calibration)
    curve = common_curve(calibration, temperatures, score)
    budgets = np.linspace(curve.macs[0], curve.macs[-1], limit) if limit > 1 else curve.macs[-1:]
    if per_exit:
        policies = [
            fit_per_exit(calibration, temperatures=temperatures, score=score, max_macs=float(budget))
            for budget in budgets
        ]
    else:
        thresholds = curve.thresholds[_best_within(curve, budgets)]
        policies = [common_policy(float(threshold), temperatures, score) for threshold in thresholds]
    scores, answers = branch_scores(validation.logits, temperatures, score), validation.answers()
    different = dict.fromkeys(policies)
    return tuple(_point(policy, validation, policy.apply_scored(validation, scores, answers)) for policy in different)


def fit_at_shares(
    calibration: ExitTable,
    evaluation: ExitTable,
    backbone_macs: float,
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    score: str = "max_softmax",
    *,
    per_exit: bool = False,
) -> list[OperatingPoint | None]:
    """For each share of the plain backbone's MACs the policy that spends at most that on `calibration`.

    Each is the most accurate there and evaluated on `evaluation`, where it may spend a little more or less. None
    where no threshold spends so little.
    """
    if not backbone_macs > 0:
        raise PolicyError(f"backbone_macs must be positive, got {backbone_macs}")
    _same_exits(calibration, evaluation)
    temperatures = fit_temperatures(calibration)
    points: list[OperatingPoint | None] = []
    for share in shares:
        budget = share * backbone_macs
        if per_exit:
            policy = fit_per_exit(calibration, temperatures=temperatures, score=score, max_macs=budget)
        else:
            policy = fit_common(calibration, temperatures=temperatures, score=score, max_macs=budget)
        points.append(evaluate(policy, evaluation) if policy.within_budget else None)
    return points


def _best_within(curve: Curve, budgets: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each rising budget the index of the most accurate point of the curve that costs at most as much."""
    best = np.zeros(len(curve), dtype=np.int64)
    higher = np.nonzero(np.append(True, curve.accuracy[1:] > np.maximum.accumulate(curve.accuracy)[:-1]))[0]
    best[higher] = higher
    best = np.maximum.accumulate(best)
    last = np.searchsorted(curve.macs, budgets * (1 + 1e-9), side="right") - 1
    return np.asarray(best[np.maximum(last, 0)], dtype=np.int64)


def _point(policy: ThresholdPolicy, table: ExitTable, decisions: Decisions) -> OperatingPoint:
    leaving = np.bincount(decisions.exit_index, minlength=table.num_exits)
    right = decisions.answer == table.labels
    right_at = np.bincount(decisions.exit_index[right], minlength=table.num_exits)
    reachable = slice(0, policy.last_reachable + 1)
    latency = table.latency_ms
    return OperatingPoint(
        policy=policy,
        accuracy=int(right.sum()) / len(table),
        expected_macs=float(mean_cost(leaving, table.macs)),
        worst_macs=float(table.macs[reachable].max()),
        expected_latency_ms=None if latency is None else float(mean_cost(leaving, latency)),
        worst_latency_ms=None if latency is None else float(latency[reachable].max()),
        shares=tuple(int(count) / len(table) for count in leaving),
        exit_accuracy=tuple(int(r) / int(n) if n else None for r, n in zip(right_at, leaving, strict=True)),
    )


def _same_exits(fitted_on: ExitTable, evaluated_on: ExitTable) -> None:
    if fitted_on.exits != evaluated_on.exits:
        names = f"{list(fitted_on.exits)} and {list(evaluated_on.exits)}"
        raise PolicyError(f"policies are fitted and evaluated on tables of the same exits, got {names}")

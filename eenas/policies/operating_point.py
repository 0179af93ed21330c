"""Operating points: a policy fitted on one split, with its accuracy and costs on another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, SpecError, nearest
from eenas.escaping import shortened
from eenas.policies.class_weights import share_right
from eenas.policies.exit_table import ExitTable, mean_cost
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.policy import Policy

_OPTIONAL = ("expected_latency_ms", "worst_latency_ms")


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a policy does on a table: `accuracy` in [0, 1], mean and worst MACs and milliseconds of a sample.

    The worst case is the dearest exit that any sample may reach, whether one of this table did or not: the final exit
    unless a threshold of 0 stops everybody before. `shares` (K, summing to one) leave at each exit, and
    `exit_accuracy` (K) is the accuracy of those who leave there, None where nobody does.
    """

    policy: Policy
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
            raise PolicyError(
                f"accuracy, MACs and shares of an operating point must be numbers, got {shortened(numbers)}"
            )
        optional = (*costs[2:], *accuracies)
        if not all(value is None or isinstance(value, int | float) for value in optional):
            raise PolicyError(f"latencies and exit accuracies must be numbers or null, got {shortened(optional)}")
        if not all(math.isfinite(value) for value in (*numbers, *optional) if value is not None):
            raise PolicyError(f"numbers of an operating point must be finite, got {shortened((*numbers, *optional))}")
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
            raise SpecError(f"{where}: must be a table, got {shortened(table)}")
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in table if name not in names]:
            raise SpecError(f"{where}: unknown key {shortened(unknown[0])}; {nearest(str(unknown[0]), names)}")
        if missing := [name for name in names if name not in table and name not in _OPTIONAL]:
            raise SpecError(f"{where}: the key {shortened(missing[0])} is missing; add it")
        for name in ("shares", "exit_accuracy"):
            if not isinstance(table[name], list | tuple):
                raise SpecError(f"{where}: {name} must be a list, got {shortened(table[name])}")
        policy = policy_from_table(table["policy"], file=file, key=f"{key}.policy" if key else "policy")
        return cls(**{**table, "policy": policy})


def evaluate(policy: Policy, table: ExitTable) -> OperatingPoint:
    """What a policy does on a table. Raises PolicyError when the table has another number of exits."""
    decisions = policy.apply(table)
    return point_of(policy, table, decisions.exit_index, decisions.answer)


def point_of(
    policy: Policy, table: ExitTable, exit_index: NDArray[np.int64], answer: NDArray[np.int64]
) -> OperatingPoint:
    """What a policy does on a table, given the exits [N] at which samples leave and the classes [N] they answer."""
    leaving = np.bincount(exit_index, minlength=table.num_exits)
    right = answer == table.labels
    weights = table.weights
    counted = np.ones(len(table), dtype=np.int64) if weights is None else weights
    right_at, all_at = (np.bincount(exit_index, counted * each, table.num_exits) for each in (right, 1))
    reachable = slice(0, policy.last_reachable + 1)
    latency = table.latency_ms
    return OperatingPoint(
        policy=policy,
        accuracy=float(share_right(right, weights)),
        expected_macs=float(mean_cost(leaving, table.macs)),
        worst_macs=float(table.macs[reachable].max()),
        expected_latency_ms=None if latency is None else float(mean_cost(leaving, latency)),
        worst_latency_ms=None if latency is None else float(latency[reachable].max()),
        shares=tuple(int(count) / len(table) for count in leaving),
        exit_accuracy=tuple(float(r) / float(n) if n else None for r, n in zip(right_at, all_at, strict=True)),
    )

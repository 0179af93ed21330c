"""Operating points: a policy fitted on one split, with its accuracy and costs on another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import check_keys, located
from eenas.errors import PolicyError, SpecError, plural
from eenas.escaping import shortened
from eenas.policies.class_weights import weighted_accuracy
from eenas.policies.contexts.robustness import MEASURES, robustness
from eenas.policies.costs import LATENCY, MACS, CostValues, cost_of, key_of, mean_cost, name_fault
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.registry import policy_from_table
from eenas.policies.policy import Policy
from eenas.policies.risk.guarantee import Guarantee
from eenas.policies.split_costs import split_from
from eenas.tier_names import TierSplit

EXPECTED, WORST = "expected_", "worst_"
"""The prefixes of the keys of costs in a table."""
NO_VALUES = CostValues()
"""No values: nothing was measured."""
_FIELDS = ("policy", "accuracy", "shares", "exit_accuracy")
_GUARANTEE, _SPLIT = "guarantee", "split"


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The accuracy, in [0, 1], and the costs per sample of a policy on a table.

    `expected` holds the mean of each cost by name, the MACs first. `worst` holds the highest cost of any exit that a
    sample may reach, whether or not a sample of this table does. `shares` (K, sum 1) are the shares of samples leaving
    at each exit. `exit_accuracy` (K) is the accuracy on the samples leaving there, or None if there are none.
    `guarantee` is the bound on the policy's loss that was certified when it was fitted, or None.
    `robustness` holds the accuracies under distortions by name (`MEASURES`); it is empty if they were not measured.
    `split` is the best split between tiers for these decisions, to which the costs of tiers refer (None: no tiers).
    """

    policy: Policy
    accuracy: float
    expected: CostValues
    worst: CostValues
    shares: tuple[float, ...]
    exit_accuracy: tuple[float | None, ...]
    guarantee: Guarantee | None = None
    robustness: CostValues = NO_VALUES
    split: TierSplit | None = None

    def __post_init__(self) -> None:
        """Convert sequences to tuples and check that the numbers fit together."""
        shares, accuracies = tuple(self.shares), tuple(self.exit_accuracy)
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "exit_accuracy", accuracies)
        object.__setattr__(self, "expected", CostValues(self.expected))
        object.__setattr__(self, "worst", CostValues(self.worst))
        if next(iter(self.expected), None) != MACS or list(self.expected) != list(self.worst):
            names = f"{shortened(list(self.expected))} and {shortened(list(self.worst))}"
            raise PolicyError(
                f"expected and worst costs of an operating point must have the same names, {MACS} first, got {names}"
            )
        object.__setattr__(self, "robustness", CostValues(self.robustness))
        numbers = (self.accuracy, *self.expected.values(), *self.worst.values(), *shares, *self.robustness.values())
        if not all(isinstance(value, int | float) for value in numbers):
            raise PolicyError(
                f"accuracy, costs and shares of an operating point must be numbers, got {shortened(numbers)}"
            )
        if not all(value is None or isinstance(value, int | float) for value in accuracies):
            raise PolicyError(f"exit accuracies must be numbers or null, got {shortened(accuracies)}")
        if not all(math.isfinite(value) for value in (*numbers, *accuracies) if value is not None):
            raise PolicyError(f"numbers of an operating point must be finite, got {shortened((*numbers, *accuracies))}")
        if len(shares) != self.policy.num_exits or len(accuracies) != self.policy.num_exits:
            counts = (
                f"{len(shares)} shares and {len(accuracies)} accuracies for {plural(self.policy.num_exits, 'exit')}"
            )
            raise PolicyError(f"an operating point needs a share and an accuracy for each exit, got {counts}")
        if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise PolicyError(f"the shares of an operating point must sum to one, got {sum(shares)}")
        object.__setattr__(self, "split", split_from(self.split))

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with costs under keys such as "expected_macs" and "worst_latency_ms"."""
        table: dict[str, Any] = {"policy": self.policy.to_table(), "accuracy": self.accuracy}
        for name in self.expected:
            table[EXPECTED + key_of(name)] = self.expected[name]
            table[WORST + key_of(name)] = self.worst[name]
        table |= {"shares": list(self.shares), "exit_accuracy": list(self.exit_accuracy), **self.robustness}
        if self.split is not None:
            table[_SPLIT] = self.split if isinstance(self.split, str) else list(self.split)
        return table if self.guarantee is None else {**table, _GUARANTEE: self.guarantee.to_table()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """Return the point that `to_table` wrote.

        Raises SpecError for unknown and missing keys and PolicyError for invalid values.
        """
        where = located(file, key) or "an operating point"
        check_keys(table, table, file=file, key=key, kind="an operating point")
        expected, worst = (_costs_of(table, prefix) for prefix in (EXPECTED, WORST))
        wanted = [MACS, *(name for name in (*expected, *worst) if name != MACS)]
        names = [*_FIELDS, *(prefix + key_of(name) for name in dict.fromkeys(wanted) for prefix in (EXPECTED, WORST))]
        known = [*names, EXPECTED + key_of(LATENCY), WORST + key_of(LATENCY), _GUARANTEE, _SPLIT, *MEASURES]
        check_keys(table, known, names, file=file, key=key, kind="an operating point")
        for name in ("shares", "exit_accuracy"):
            if not isinstance(table[name], list | tuple):
                raise SpecError(f"{where}: {name} must be a list, got {shortened(table[name])}")
        policy = policy_from_table(table["policy"], file=file, key=f"{key}.policy" if key else "policy")
        guarantee = table.get(_GUARANTEE)
        if guarantee is not None:
            guarantee = Guarantee.from_table(guarantee, file=file, key=f"{key}.{_GUARANTEE}" if key else _GUARANTEE)
        order = [name for name in dict.fromkeys(wanted) if expected[name] is not None or worst[name] is not None]
        return cls(
            policy=policy,
            accuracy=table["accuracy"],
            expected=CostValues((name, expected[name]) for name in order),
            worst=CostValues((name, worst[name]) for name in order),
            shares=table["shares"],
            exit_accuracy=table["exit_accuracy"],
            guarantee=guarantee,
            robustness=CostValues((name, table[name]) for name in MEASURES if name in table),
            split=table.get(_SPLIT),
        )


def _costs_of(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the costs with this prefix by name. An unmeasured latency may be null."""
    named = (key for key in table if isinstance(key, str) and key not in MEASURES)
    keys = (key.removeprefix(prefix) for key in named if key.startswith(prefix))
    return {name: table[prefix + key] for key in keys if name_fault(name := cost_of(key)) is None}


def evaluate(policy: Policy, table: ExitTable) -> OperatingPoint:
    """Return the operating point of a policy on a table. Raises PolicyError if the numbers of exits differ."""
    decisions = policy.apply(table)
    return point_of(policy, table, decisions.exit_index, decisions.answer)


def with_robustness(point: OperatingPoint, distorted: ExitTable | None) -> OperatingPoint:
    """Return the point with its accuracies on a table of distorted samples, or as it is without a table."""
    return point if distorted is None else replace(point, robustness=robustness(point.policy, distorted))


def point_of(
    policy: Policy, table: ExitTable, exit_index: NDArray[np.int64], answer: NDArray[np.int64]
) -> OperatingPoint:
    """Return the operating point of a policy from the exit [N] and the answered class [N] of every sample."""
    leaving = np.bincount(exit_index, minlength=table.num_exits)
    right = answer == table.labels
    weights = table.weights
    counted = np.ones(len(table), dtype=np.int64) if weights is None else weights
    right_at, all_at = (np.bincount(exit_index, counted * each, table.num_exits) for each in (right, 1))
    reachable = policy.last_reachable + 1
    split = table.costs.first(reachable).best_split(leaving[:reachable])
    costs = table.costs.under(split)
    return OperatingPoint(
        policy=policy,
        accuracy=float(weighted_accuracy(right, weights)),
        expected=CostValues((name, float(mean_cost(leaving, costs[name]))) for name in costs.names),
        worst=CostValues((name, float(costs[name][:reachable].max())) for name in costs.names),
        shares=tuple(int(count) / len(table) for count in leaving),
        exit_accuracy=tuple(float(r) / float(n) if n else None for r, n in zip(right_at, all_at, strict=True)),
        split=split,
    )

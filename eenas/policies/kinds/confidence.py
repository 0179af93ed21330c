"""A policy of your own in one method: the base of kinds that compare a confidence of an exit's logits with a limit."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.policy import NEAR, same_samples
from eenas.policies.values import check_truth, check_whole


@dataclass(frozen=True, kw_only=True)
class ConfidencePolicy(SignalPolicy):
    """A sample leaves at the first of K `exits` whose confidence reaches `limit`, and the class there is the answer.

    A kind derives from this class, is marked `@dataclass(frozen=True, kw_only=True)` and defines `confidence`. The
    limit is at least 0, where everybody leaves at the first exit; None: nobody leaves early. Raises PolicyError for
    numbers out of range.
    """

    exits: int
    limit: float | None
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Refuse what no network could follow."""
        check_whole("exits", self.exits, 1, 10**6)
        check_truth("within_budget", self.within_budget)
        limit = self.limit
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if limit is not None and not (is_number and 0 <= limit < math.inf):
            raise PolicyError(f"a limit must be a number from 0 up or null (nobody leaves), got {shortened(limit)}")

    @abstractmethod
    def confidence(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """How sure an exit is of each of n samples, [n], at least 0 and finite, from its raw logits [n, C]."""

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """One shape: a limit for all exits."""
        return (
            lambda limit, within: cls(
                exits=exits, limit=None if math.isinf(limit) else float(limit), within_budget=within
            ),
        )

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.exits

    @property
    def last_reachable(self) -> int:
        """The first exit under a limit of 0, else the final one."""
        return 0 if self.limit == 0 else self.exits - 1

    def start(self, n: int) -> NDArray[np.int64]:
        """The state of n samples: for each the class of the last exit seen, -1 so far."""
        return np.full(n, -1, dtype=np.int64)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which of n samples leave at exit k, given its logits [n, C] and their state, and their state after it."""
        same_samples(logits, state)
        after = np.asarray(logits.argmax(axis=1), dtype=np.int64)
        if k == self.exits - 1:
            return np.ones(len(after), dtype=np.bool_), after
        if self.limit is None:
            return np.zeros(len(after), dtype=np.bool_), after
        return self._confidences(logits) >= self.limit, after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """The classes [n] of the exits that samples leave at."""
        return state

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the logits [n, C] at exit k have a confidence within NEAR of the limit (relative above 1)."""
        if k == self.exits - 1 or not self.limit:
            return np.zeros(len(logits), dtype=np.bool_)
        return self._is_near(self._confidences(logits), self.limit)

    def evidence(self, table: ExitTable) -> Evidence:
        """The logits as they are."""
        return Evidence(table)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """The confidences, [N, K - 1]."""
        found = np.empty((len(evidence.table), self.exits - 1), dtype=np.float64)
        for k in range(self.exits - 1):
            found[:, k] = self._confidences(evidence.table.logits[:, k])
        return found

    def limits(self) -> NDArray[np.float64]:
        """The limit, for each exit; infinity for None."""
        return np.full(self.exits - 1, math.inf if self.limit is None else float(self.limit))

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Where a confidence is within NEAR of the limit, [N, K - 1]."""
        signals = self.signals(evidence)
        return self._is_near(signals, self.limit) if self.limit else np.zeros(signals.shape, dtype=np.bool_)

    def label(self) -> str:
        """Such as "0.812"."""
        return "never" if self.limit is None else f"{self.limit:.3g}"

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON; None stays None."""
        table: dict[str, Any] = {"kind": self.kind, "exits": self.exits, "limit": self.limit}
        return table if self.within_budget else {**table, "within_budget": False}

    def _confidences(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """In float64 and the same order of numbers, however the logits are given."""
        return np.asarray(self.confidence(np.ascontiguousarray(logits, dtype=np.float64)), dtype=np.float64)

    @staticmethod
    def _is_near(confidences: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
        return np.abs(confidences - limit) <= NEAR * max(1.0, limit)

"""Patience: a sample leaves once so many exits in a row have answered the same class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.policy import NEAR, same_samples
from eenas.policies.scores import score
from eenas.policies.values import check_truth, check_whole


@dataclass(frozen=True, kw_only=True)
class PatiencePolicy(SignalPolicy):
    """PABEE (Zhou et al. 2020), decided for each sample alone.

    A sample leaves at the first exit that confirms the class of the exit before for the `patience`-th time in a row,
    that is with patience + 1 equal classes in a row: 0 lets everybody leave at the first exit, K - 1 (of K `exits`)
    nobody before the final one. Raises PolicyError for a patience out of range.
    """

    kind: ClassVar[str] = "patience"

    exits: int
    patience: int
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Refuse a patience that these exits cannot have."""
        check_whole("exits", self.exits, 1, 10**6)
        check_whole(f"the patience of {self.exits} exits", self.patience, 0, self.exits - 1)
        check_truth("within_budget", self.within_budget)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.exits

    @property
    def last_reachable(self) -> int:
        """The first exit without patience, else the final one."""
        return 0 if self.patience == 0 else self.exits - 1

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """One shape: the limit is on confirmations."""
        return (lambda limit, within: cls(exits=exits, patience=patience_at(limit, exits), within_budget=within),)

    def start(self, n: int) -> NDArray[np.int64]:
        """The state [n, 2] of n samples: the class of the last exit, -1 so far, and how often it was confirmed."""
        return np.tile(np.array([-1, 0], dtype=np.int64), (n, 1))

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which of n samples leave at exit k, given its logits [n, C] and their state, and their state after it."""
        same_samples(logits, state)
        found = logits.argmax(axis=1)
        confirmed = np.where(found == state[:, 0], state[:, 1] + 1, 0)
        after = np.stack([found, confirmed], axis=1).astype(np.int64)
        return (confirmed >= self.patience) | (k == self.exits - 1), after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """The classes [n] of the exits that samples leave at."""
        return state[:, 0]

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of n samples have two largest probabilities within NEAR, so that another class may be counted."""
        if k == self.exits - 1 or not self._counts:
            return np.zeros(len(logits), dtype=np.bool_)
        return score(logits, kind="margin") <= NEAR

    def evidence(self, table: ExitTable) -> Evidence:
        """The classes of the exits."""
        return Evidence(table)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """How often the class of each exit was confirmed, [N, K - 1]."""
        return confirmations(evidence.answers[:, :-1]).astype(np.float64)

    def limits(self) -> NDArray[np.float64]:
        """The patience, for each exit."""
        return np.full(self.exits - 1, float(self.patience))

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Where an exit's class is one of two that are equally likely, [N, K - 1]."""
        return evidence.tied & self._counts

    def label(self) -> str:
        """Such as "3 exits in a row agree"."""
        if not self._counts:
            return "the first exit" if self.exits > 1 and self.patience == 0 else "never"
        return f"{self.patience + 1} exits in a row agree"

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        table: dict[str, Any] = {"kind": self.kind, "exits": self.exits, "patience": self.patience}
        return table if self.within_budget else {**table, "within_budget": False}

    @property
    def _counts(self) -> bool:
        """Whether any decision depends on a class."""
        return 0 < self.patience < self.exits - 1


def confirmations(answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often in a row the class of each exit was that of the exit before, [N, M] from classes [N, M]."""
    found = np.zeros_like(answers)
    for k in range(1, answers.shape[1]):
        found[:, k] = np.where(answers[:, k] == answers[:, k - 1], found[:, k - 1] + 1, 0)
    return found


def patience_at(threshold: float, exits: int) -> int:
    """The patience that decides as a limit on confirmations does; infinity: nobody leaves early."""
    return exits - 1 if math.isinf(threshold) else math.ceil(threshold)

"""Patience: a sample leaves once a number of consecutive exits have predicted the same class."""

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
    """PABEE (Zhou et al. 2020), applied to each sample separately.

    A sample leaves at the first exit where the last `patience` + 1 exits predict the same class. With a patience of 0
    all samples leave at the first exit; with K - 1, for K `exits`, no sample leaves before the final one. Raises
    PolicyError for a patience out of range.
    """

    kind: ClassVar[str] = "patience"

    exits: int
    patience: int
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole("exits", self.exits, 1, 10**6)
        check_whole(f"the patience of {self.exits} exits", self.patience, 0, self.exits - 1)
        check_truth("within_budget", self.within_budget)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.exits

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample may reach: 0 if the patience is 0, else the final exit."""
        return 0 if self.patience == 0 else self.exits - 1

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return one shape, with a limit on confirmations."""
        return (lambda limit, within: cls(exits=exits, patience=patience_at(limit, exits), within_budget=within),)

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the state [n, 2] of n samples: the class of the last exit, at first -1, and its confirmations."""
        return np.tile(np.array([-1, 0], dtype=np.int64), (n, 1))

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        found = logits.argmax(axis=1)
        confirmed = np.where(found == state[:, 0], state[:, 1] + 1, 0)
        after = np.stack([found, confirmed], axis=1).astype(np.int64)
        return (confirmed >= self.patience) | (k == self.exits - 1), after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] predicted by the exits at which samples leave."""
        return state[:, 0]

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of n samples have two largest probabilities within NEAR: another class may be counted."""
        if k == self.exits - 1 or not self._uses_classes:
            return np.zeros(len(logits), dtype=np.bool_)
        return score(logits, kind="margin") <= NEAR

    def evidence(self, table: ExitTable) -> Evidence:
        """Return the classes of the exits."""
        return Evidence(table)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the number of confirmations of the class of each exit, [N, K - 1]."""
        return confirmations(evidence.answers[:, :-1]).astype(np.float64)

    def limits(self) -> NDArray[np.float64]:
        """Return the patience for each exit."""
        return np.full(self.exits - 1, float(self.patience))

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return where the two largest probabilities of an exit are within NEAR, [N, K - 1]."""
        return evidence.tied & self._uses_classes

    def label(self) -> str:
        """Return a short text, such as "3 exits in a row agree"."""
        if not self._uses_classes:
            return "the first exit" if self.exits > 1 and self.patience == 0 else "never"
        return f"{self.patience + 1} exits in a row agree"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        table: dict[str, Any] = {"kind": self.kind, "exits": self.exits, "patience": self.patience}
        return table if self.within_budget else {**table, "within_budget": False}

    @property
    def _uses_classes(self) -> bool:
        """Whether any decision depends on a class."""
        return 0 < self.patience < self.exits - 1


def confirmations(answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for classes [N, M], the number of consecutive earlier exits with the class of each exit, [N, M]."""
    found = np.zeros_like(answers)
    for k in range(1, answers.shape[1]):
        found[:, k] = np.where(answers[:, k] == answers[:, k - 1], found[:, k - 1] + 1, 0)
    return found


def patience_at(threshold: float, exits: int) -> int:
    """Return the patience that is equivalent to a limit on confirmations. With infinity no sample leaves early."""
    return exits - 1 if math.isinf(threshold) else math.ceil(threshold)

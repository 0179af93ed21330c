"""Votes: a sample leaves once enough of its exits so far agree, with the class of the majority."""

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
from eenas.policies.values import check_truth, check_whole, limits_of


@dataclass(frozen=True, kw_only=True)
class VotePolicy(SignalPolicy):
    """The voting of Sun et al. 2021 (Early Exiting with Ensemble Internal Classifiers), as a share of votes.

    Each exit votes for its class. A sample leaves at the first exit, from the `least`-th (1..K - 1) of K `exits` on,
    where the majority class has at least the share `ratio`, in [0, 1], of the votes so far. The answer is the majority
    class; ties go to the latest vote. With the `ratio` None no sample leaves early. The final exit does not vote: it
    answers for the remaining samples. Raises PolicyError for numbers out of range.
    """

    kind: ClassVar[str] = "vote"

    exits: int
    ratio: float | None
    least: int
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Convert to plain floats and check the values."""
        check_whole("exits", self.exits, 1, 10**6)
        check_whole(f"the least votes of {self.exits} exits", self.least, 1, max(1, self.exits - 1))
        check_truth("within_budget", self.within_budget)
        object.__setattr__(self, "ratio", limits_of((self.ratio,), "a ratio of votes")[0])

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.exits

    @property
    def last_reachable(self) -> int:
        """The last exit that any sample may reach: the `least`-th if one vote for a class is enough, else the final."""
        sure = self.ratio is not None and 1 / self.least >= self.ratio
        return min(self.least, self.exits) - 1 if sure else self.exits - 1

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return a shape for each least number of votes."""

        def of(least: int) -> Make:
            return lambda limit, within: cls(
                exits=exits, ratio=None if math.isinf(limit) else limit, least=least, within_budget=within
            )

        return [of(least) for least in range(1, max(2, exits))]

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the state [n, 1 + exits so far] of n samples: the class to answer, at first -1, then the votes."""
        return np.full((n, 1), -1, dtype=np.int64)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        found = np.asarray(logits.argmax(axis=1), dtype=np.int64)[:, None]
        votes = np.concatenate([state[:, 1:], found], axis=1)
        if k == self.exits - 1:
            return np.ones(len(found), dtype=np.bool_), np.concatenate([found, votes], axis=1)
        winner, count = majority(votes)
        after = np.concatenate([winner[:, None], votes], axis=1)
        if self.ratio is None or k < self.least - 1:
            return np.zeros(len(found), dtype=np.bool_), after
        return count / (k + 1) >= self.ratio, after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] of the majority, or at the final exit those of that exit."""
        return state[:, 0]

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of n samples have two largest probabilities within NEAR: another class may get the vote."""
        if k == self.exits - 1 or not self._uses_classes:
            return np.zeros(len(logits), dtype=np.bool_)
        return score(logits, kind="margin") <= NEAR

    def evidence(self, table: ExitTable) -> Evidence:
        """Return the classes of the exits."""
        return Evidence(table)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the share of votes of the majority at each exit, [N, K - 1]."""
        found = np.full((len(evidence.answers), self.exits - 1), -math.inf)
        for k in range(self.least - 1, self.exits - 1):
            found[:, k] = majority(evidence.answers[:, : k + 1])[1] / (k + 1)
        return found

    def limits(self) -> NDArray[np.float64]:
        """Return the ratio for each exit."""
        return np.full(self.exits - 1, math.inf if self.ratio is None else self.ratio)

    def answers(self, evidence: Evidence) -> NDArray[np.int64]:
        """Return the majority at each exit and the class of the final exit, [N, K]."""
        found = evidence.answers.copy()
        for k in range(self.exits - 1):
            found[:, k] = majority(evidence.answers[:, : k + 1])[0]
        return found

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return where the two largest probabilities of an exit are within NEAR, [N, K - 1]."""
        return evidence.tied & self._uses_classes

    def label(self) -> str:
        """Return a short text, such as "0.667 of at least 3 votes"."""
        if self.ratio is None:
            return "never"
        return f"{self.ratio:.3f} of at least {self.least} {'vote' if self.least == 1 else 'votes'}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON; None stays None."""
        table: dict[str, Any] = {"kind": self.kind, "exits": self.exits, "ratio": self.ratio, "least": self.least}
        return table if self.within_budget else {**table, "within_budget": False}

    @property
    def _uses_classes(self) -> bool:
        """Whether any decision depends on a class."""
        return self.ratio is not None and self.last_reachable > 0


def majority(votes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the majority class [n] of the votes [n, m >= 1] and its number of votes [n]; ties go to the latest."""
    winner, most = votes[:, -1], np.zeros(len(votes), dtype=np.int64)
    for k in range(votes.shape[1] - 1, -1, -1):
        count = (votes == votes[:, k : k + 1]).sum(axis=1)
        winner, most = np.where(count > most, votes[:, k], winner), np.maximum(most, count)
    return winner, most

"""Patience with confidence: a sample leaves once a number of consecutive exits have been confident."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.policy import NEAR, same_samples
from eenas.policies.scores import reaches, score
from eenas.policies.values import check_choice, check_whole, limits_of, temperatures_of


@dataclass(frozen=True, kw_only=True)
class PatienceConfidencePolicy(SignalPolicy):
    """PCEE-BERT (Zhang et al. 2022): an exit is confident if its score is at least `threshold`, in [0, 1].

    A sample leaves at the first exit that completes `patience` (1..K - 1) consecutive confident exits. A patience of 1
    is one common threshold. With the `threshold` None no sample leaves early. `temperatures` (K, the final exit last)
    divide the logits before scoring. Raises PolicyError for an unknown score and numbers out of range.
    """

    kind: ClassVar[str] = "patience_confidence"
    compares: ClassVar[bool] = True

    score: str
    temperatures: tuple[float, ...]
    threshold: float | None
    patience: int
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Convert to plain floats and check the values."""
        check_choice(self.score, self.within_budget)
        temperatures = temperatures_of(self.temperatures)
        if not temperatures:
            raise PolicyError("K exits need K temperatures, got none")
        check_whole(f"the patience of {len(temperatures)} exits", self.patience, 1, max(1, len(temperatures) - 1))
        object.__setattr__(self, "temperatures", temperatures)
        object.__setattr__(self, "threshold", limits_of((self.threshold,))[0])

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return len(self.temperatures)

    @property
    def last_reachable(self) -> int:
        """The last exit that any sample may reach: `patience` - 1 if the threshold is 0, else the final one."""
        return min(self.patience, self.num_exits) - 1 if self.threshold == 0 else self.num_exits - 1

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return a shape for each number of consecutive confident exits."""

        def of(patience: int) -> Make:
            return lambda limit, within: cls(
                score=score,
                temperatures=temperatures,
                threshold=None if math.isinf(limit) else limit,
                patience=patience,
                within_budget=within,
            )

        return [of(patience) for patience in range(1, max(2, exits))]

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the state [n, 2] of n samples: the class of the last exit, at first -1, and the confident exits."""
        return np.tile(np.array([-1, 0], dtype=np.int64), (n, 1))

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        final = k == self.num_exits - 1
        counting = state[:, 1]
        if self.threshold is not None and not final:
            confident = reaches(logits, self.temperatures[k], self.score, self.threshold)
            counting = np.where(confident, counting + 1, 0)
        after = np.stack([logits.argmax(axis=1), counting], axis=1).astype(np.int64)
        return (counting >= self.patience) | final, after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] predicted by the exits at which samples leave."""
        return state[:, 0]

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the logits [n, C] at exit k have a score within NEAR of the threshold."""
        if self.threshold is None or self.threshold == 0 or k == self.num_exits - 1:
            return np.zeros(len(logits), dtype=np.bool_)
        return np.abs(score(logits, self.temperatures[k], self.score) - self.threshold) <= NEAR

    def evidence(self, table: ExitTable) -> Evidence:
        """Return the scores at the temperatures of this policy."""
        return Evidence(table, self.temperatures, self.score)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the lowest score of the last `patience` exits, [N, K - 1]."""
        return least_of_last(evidence.scores, self.patience)

    def limits(self) -> NDArray[np.float64]:
        """Return the threshold for each exit."""
        return np.full(self.num_exits - 1, math.inf if self.threshold is None else self.threshold)

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return where a score is within NEAR of the threshold, [N, K - 1]."""
        if self.threshold is None or self.threshold == 0:
            return np.zeros(evidence.scores.shape, dtype=np.bool_)
        return np.abs(evidence.scores - self.threshold) <= NEAR

    def label(self) -> str:
        """Return a short text, such as "2 exits in a row at 0.812"."""
        if self.threshold is None:
            return "never"
        return f"{self.patience} {'exit' if self.patience == 1 else 'exits in a row'} at {self.threshold:.3f}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON; None stays None."""
        table: dict[str, Any] = {
            "kind": self.kind,
            "score": self.score,
            "temperatures": list(self.temperatures),
            "threshold": self.threshold,
            "patience": self.patience,
        }
        return table if self.within_budget else {**table, "within_budget": False}


def least_of_last(scores: NDArray[np.float64], patience: int) -> NDArray[np.float64]:
    """Return the lowest of the last `patience` scores at each exit, [N, M]; minus infinity if there are fewer."""
    found = np.full(scores.shape, -math.inf)
    for k in range(patience - 1, scores.shape[1]):
        found[:, k] = scores[:, k - patience + 1 : k + 1].min(axis=1)
    return found

"""The final rule "most confident": samples that no exit let go get the class of the surest exit that they saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import NEAR, Policy, same_samples
from eenas.policies.scores import score
from eenas.policies.values import check_choice, temperatures_of


@dataclass(frozen=True, eq=False)
class ConfidenceState:
    """The state of n samples: the wrapped policy's, and the confidence and class of every exit seen, each [n, seen]."""

    inner: Any
    confidence: NDArray[np.float64]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.classes)

    def __getitem__(self, mask: NDArray[np.bool_]) -> ConfidenceState:
        """The state of some of the samples."""
        return ConfidenceState(self.inner[mask], self.confidence[mask], self.classes[mask])


@dataclass(frozen=True, kw_only=True)
class MostConfidentPolicy(Policy):
    """Another policy for K exits whose final exit shares its answer (the rule of Pacheco et al. 2021).

    Who leaves before the final exit leaves and answers as `policy` says. Who reaches it answers with the class of the
    exit, the final one included, whose tempered score is highest, of equal ones the last. `temperatures` (K) divide
    the logits before the `score`. Raises PolicyError for counts that do not fit and an unknown score.
    """

    kind: ClassVar[str] = "most_confident"

    score: str
    temperatures: tuple[float, ...]
    policy: Policy

    def __post_init__(self) -> None:
        """Convert to plain floats and refuse what does not fit the policy."""
        check_choice(self.score)
        temperatures = temperatures_of(self.temperatures)
        if len(temperatures) != self.policy.num_exits:
            raise PolicyError(f"{self.policy.num_exits} exits need as many temperatures, got {len(temperatures)}")
        object.__setattr__(self, "temperatures", temperatures)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policy.num_exits

    @property
    def last_reachable(self) -> int:
        """As the policy says."""
        return self.policy.last_reachable

    @property
    def within_budget(self) -> bool:
        """As the policy says."""
        return self.policy.within_budget

    def start(self, n: int) -> ConfidenceState:
        """The state of n samples that have seen no exit yet."""
        return ConfidenceState(self.policy.start(n), np.empty((n, 0)), np.empty((n, 0), dtype=np.int64))

    def decide(self, k: int, logits: NDArray[Any], state: ConfidenceState) -> tuple[NDArray[np.bool_], ConfidenceState]:
        """Which of n samples leave at exit k, given its logits [n, C] and their state, and their state after it."""
        same_samples(logits, state)
        leaving, inner = self.policy.decide(k, logits, state.inner)
        confidence = np.concatenate([state.confidence, self._confidence(k, logits)], axis=1)
        found = np.asarray(logits.argmax(axis=1), dtype=np.int64)[:, None]
        return leaving, ConfidenceState(inner, confidence, np.concatenate([state.classes, found], axis=1))

    def answer(self, state: ConfidenceState) -> NDArray[np.int64]:
        """The classes [n]: the policy's before the final exit, there that of the most confident exit."""
        if state.classes.shape[1] < self.num_exits:
            return self.policy.answer(state.inner)
        return state.classes[np.arange(len(state)), surest(state.confidence)]

    def near(self, k: int, logits: NDArray[Any], state: ConfidenceState) -> NDArray[np.bool_]:
        """As the policy says; at the final exit also where the two highest scores are within NEAR."""
        near = self.policy.near(k, logits, state.inner)
        if k < self.num_exits - 1 or k == 0:
            return near
        scores = np.sort(np.concatenate([state.confidence, self._confidence(k, logits)], axis=1), axis=1)
        return np.asarray(near | (scores[:, -1] - scores[:, -2] <= NEAR))

    def view(self, table: ExitTable) -> ExitTable:
        """The table on which the wrapped policy does what this one does on `table`."""
        return surest_at_the_end(table, self.temperatures, self.score)

    def label(self) -> str:
        """The policy's, and who answers at the end."""
        return f"{self.policy.label()}; at the end the most confident exit"

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        values = {"score": self.score, "temperatures": list(self.temperatures), "policy": self.policy.to_table()}
        return {"kind": self.kind, **values}

    def _confidence(self, k: int, logits: NDArray[Any]) -> NDArray[np.float64]:
        return score(logits, self.temperatures[k], self.score)[:, None]


def surest(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The exit [N] with the highest of the scores [N, K], of equal ones the last."""
    return np.asarray(scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1), dtype=np.int64)


def surest_at_the_end(table: ExitTable, temperatures: tuple[float, ...], kind: str) -> ExitTable:
    """The table with the logits of every sample's most confident exit in the place of the final exit's."""
    scores = np.stack([score(table.logits[:, k], temperatures[k], kind) for k in range(table.num_exits)], axis=1)
    logits = table.logits.copy()
    logits[:, -1] = table.logits[np.arange(len(table)), surest(scores)]
    return replace(table, logits=logits)

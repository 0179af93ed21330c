"""The final rule "most confident": samples at the final exit get the class of their most confident exit."""

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
    """The state of n samples: that of the wrapped policy, and the confidence and class [n, k] at the k exits so far."""

    inner: Any
    confidence: NDArray[np.float64]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.classes)

    def __getitem__(self, mask: NDArray[np.bool_]) -> ConfidenceState:
        """Return the state of the samples in `mask`."""
        return ConfidenceState(self.inner[mask], self.confidence[mask], self.classes[mask])


@dataclass(frozen=True, kw_only=True)
class MostConfidentPolicy(Policy):
    """A policy for K exits with another answer at the final exit (the rule of Pacheco et al. 2021).

    Before the final exit, samples leave and answer as in the wrapped `policy`. At the final exit, the answer is the
    class of the exit (including the final one) with the highest `score`; ties go to the later exit. `temperatures` (K)
    divide the logits before scoring. Raises PolicyError for counts that do not match and an unknown score.
    """

    kind: ClassVar[str] = "most_confident"

    score: str
    temperatures: tuple[float, ...]
    policy: Policy

    def __post_init__(self) -> None:
        """Convert to plain floats and check that the temperatures match the policy."""
        check_choice(self.score)
        temperatures = temperatures_of(self.temperatures)
        if len(temperatures) != self.policy.num_exits:
            exits = self.policy.num_exits
            raise PolicyError(f"{exits} exits need {exits} temperatures, got {len(temperatures)}")
        object.__setattr__(self, "temperatures", temperatures)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policy.num_exits

    @property
    def last_reachable(self) -> int:
        """That of the wrapped policy."""
        return self.policy.last_reachable

    @property
    def within_budget(self) -> bool:
        """That of the wrapped policy."""
        return self.policy.within_budget

    def start(self, n: int) -> ConfidenceState:
        """Return the state of n samples before the first exit."""
        return ConfidenceState(self.policy.start(n), np.empty((n, 0)), np.empty((n, 0), dtype=np.int64))

    def decide(self, k: int, logits: NDArray[Any], state: ConfidenceState) -> tuple[NDArray[np.bool_], ConfidenceState]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        leaving, inner = self.policy.decide(k, logits, state.inner)
        confidence = np.concatenate([state.confidence, self._confidence(k, logits)], axis=1)
        found = np.asarray(logits.argmax(axis=1), dtype=np.int64)[:, None]
        return leaving, ConfidenceState(inner, confidence, np.concatenate([state.classes, found], axis=1))

    def answer(self, state: ConfidenceState) -> NDArray[np.int64]:
        """Return the classes [n]: of the wrapped policy before the final exit, of the most confident exit at it."""
        if state.classes.shape[1] < self.num_exits:
            return self.policy.answer(state.inner)
        return state.classes[np.arange(len(state)), most_confident_exit(state.confidence)]

    def near(self, k: int, logits: NDArray[Any], state: ConfidenceState) -> NDArray[np.bool_]:
        """Return `near` of the wrapped policy, or at the final exit also two highest scores within NEAR."""
        near = self.policy.near(k, logits, state.inner)
        if k < self.num_exits - 1 or k == 0:
            return near
        scores = np.sort(np.concatenate([state.confidence, self._confidence(k, logits)], axis=1), axis=1)
        return np.asarray(near | (scores[:, -1] - scores[:, -2] <= NEAR))

    def view(self, table: ExitTable) -> ExitTable:
        """Return the table on which the wrapped policy decides as this one does on `table`."""
        return with_most_confident_final(table, self.temperatures, self.score)

    def label(self) -> str:
        """Return the label of the wrapped policy, followed by the final rule."""
        return f"{self.policy.label()}; at the end the most confident exit"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        values = {"score": self.score, "temperatures": list(self.temperatures), "policy": self.policy.to_table()}
        return {"kind": self.kind, **values}

    def _confidence(self, k: int, logits: NDArray[Any]) -> NDArray[np.float64]:
        return score(logits, self.temperatures[k], self.score)[:, None]


def most_confident_exit(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the exit [N] with the highest of the scores [N, K]; ties go to the later exit."""
    return np.asarray(scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1), dtype=np.int64)


def with_most_confident_final(table: ExitTable, temperatures: tuple[float, ...], kind: str) -> ExitTable:
    """Return the table with the logits of the final exit replaced by those of each sample's most confident exit."""
    scores = np.stack([score(table.logits[:, k], temperatures[k], kind) for k in range(table.num_exits)], axis=1)
    logits = table.logits.copy()
    logits[:, -1] = table.logits[np.arange(len(table)), most_confident_exit(scores)]
    return replace(table, logits=logits)

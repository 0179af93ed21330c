"""The threshold policy: a sample leaves at the first exit whose tempered score reaches that exit's threshold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, SpecError, nearest
from eenas.policies.exit_table import ExitTable
from eenas.policies.scores import branch_scores, check_score, score

NEAR = 1e-5
"""Two implementations may decide differently only for scores that are this close to a threshold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """What a policy does with a table: `exit_index` int64 [N] in 0..K-1, `answer` int64 [N] the classes answered.

    `near` counts the samples that met a threshold within NEAR of their score on their way, where another
    implementation of the network may decide differently.
    """

    exit_index: NDArray[np.int64]
    answer: NDArray[np.int64]
    near: int


@dataclass(frozen=True, kw_only=True)
class ThresholdPolicy:
    """A fitted policy for K exits.

    `temperatures` (K of them, the final exit's last) divide the logits; a sample leaves at exit k when its score there
    is at least `thresholds[k]` (K - 1 of them, in [0, 1]): 0 lets everybody leave, None nobody. The final exit keeps
    nobody. `within_budget` is False when the policy was fitted for a limit that no threshold can hold: it is the
    nearest point then. Order of calls: `start`, then for every exit in order `decide`, `answer` for those who leave,
    and the state indexed by the mask of those who stay.

    Raises PolicyError for an unknown score, numbers out of range and counts that do not fit.
    """

    score: str
    temperatures: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Convert sequences to tuples of plain floats and refuse what no network could follow."""
        if not isinstance(self.score, str):
            raise PolicyError(f"a score is named by a text, got {self.score!r}")
        check_score(self.score)
        try:
            temperatures = tuple(float(value) for value in self.temperatures)
            thresholds = tuple(None if value is None else float(value) for value in self.thresholds)
        except (TypeError, ValueError):
            given = (self.temperatures, self.thresholds)
            raise PolicyError(f"temperatures and thresholds must be lists of numbers, got {given}") from None
        if not temperatures or len(thresholds) != len(temperatures) - 1:
            counts = f"{len(temperatures)} and {len(thresholds)}"
            raise PolicyError(f"K exits need K temperatures and K - 1 thresholds, got {counts}")
        if bad := [value for value in temperatures if not 0 < value < math.inf]:
            raise PolicyError(f"a temperature must be positive and finite, got {bad[0]}")
        if bad := [value for value in thresholds if value is not None and not 0 <= value <= 1]:
            raise PolicyError(f"a threshold must be in [0, 1] or null (nobody leaves), got {bad[0]}")
        if not isinstance(self.within_budget, bool):
            raise PolicyError(f"within_budget must be true or false, got {self.within_budget!r}")
        object.__setattr__(self, "temperatures", temperatures)
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return len(self.temperatures)

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample may reach: the first whose threshold is 0, else the final one."""
        return next((k for k, value in enumerate(self.thresholds) if value == 0), self.num_exits - 1)

    def start(self, n: int) -> NDArray[np.int64]:
        """The state of n samples that have seen no exit yet: for each the class of the last exit seen, -1 so far."""
        return np.full(n, -1, dtype=np.int64)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which of n samples leave at exit k, given its logits [n, C] and their state, and their state after it."""
        if len(logits) != len(state):
            raise PolicyError(f"logits and state must be of the same samples, got {len(logits)} and {len(state)}")
        after = np.asarray(logits.argmax(axis=1), dtype=np.int64)
        if k == self.num_exits - 1:
            return np.ones(len(after), dtype=np.bool_), after
        threshold = self.thresholds[k]
        if threshold is None:
            return np.zeros(len(after), dtype=np.bool_), after
        return score(logits, self.temperatures[k], self.score) >= threshold, after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """The classes [n] that samples with this state answer: those of the exit they leave at."""
        return state

    def near(self, k: int, logits: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of the logits [n, C] at exit k have a score within NEAR of its threshold."""
        threshold = self.thresholds[k] if k < self.num_exits - 1 else None
        if threshold is None or threshold == 0:
            return np.zeros(len(logits), dtype=np.bool_)
        return np.abs(score(logits, self.temperatures[k], self.score) - threshold) <= NEAR

    def apply(self, table: ExitTable) -> Decisions:
        """What the policy does with every sample of a table: the same as `decide` exit by exit, vectorised."""
        self.check(table)
        return self.apply_scored(table, branch_scores(table.logits, self.temperatures, self.score), table.answers())

    def apply_scored(self, table: ExitTable, scores: NDArray[np.float64], answers: NDArray[np.int64]) -> Decisions:
        """As `apply`, with the table's `branch_scores` [N, K - 1] and answers [N, K] at hand."""
        limits = np.array([math.inf if value is None else value for value in self.thresholds], dtype=np.float64)
        exit_index = leave(scores, limits)
        met = np.arange(len(limits)) <= exit_index[:, None]
        near = (np.abs(scores - limits) <= NEAR) & met & (limits > 0)
        return Decisions(
            exit_index=exit_index,
            answer=answers[np.arange(len(table)), exit_index],
            near=int(near.any(axis=1).sum()),
        )

    def check(self, table: ExitTable) -> None:
        """Raise PolicyError when the policy is for another number of exits than the table has."""
        if table.num_exits != self.num_exits:
            raise PolicyError(f"a policy for {self.num_exits} exits cannot decide over {table.num_exits}; fit it anew")

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON; None stays None."""
        table: dict[str, Any] = {
            "score": self.score,
            "temperatures": list(self.temperatures),
            "thresholds": list(self.thresholds),
        }
        return table if self.within_budget else {**table, "within_budget": False}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> Self:
        """The inverse of `to_table`. Raises SpecError for unknown and missing keys, PolicyError for bad values."""
        where = ": ".join(part for part in (file, f"[{key}]" if key else "") if part) or "a policy"
        if not isinstance(table, Mapping):
            raise SpecError(f"{where}: must be a table, got {table!r}")
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in table if name not in names]:
            raise SpecError(f"{where}: unknown key {unknown[0]!r}; {nearest(str(unknown[0]), names)}")
        if missing := [name for name in names[:3] if name not in table]:
            raise SpecError(f"{where}: the key {missing[0]!r} is missing; add it")
        return cls(**table)


def leave(scores: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """The exit [N] where each sample leaves: the first k with scores[:, k] >= limits[k], else the final one, K - 1."""
    reached = np.ones((scores.shape[0], scores.shape[1] + 1), dtype=np.bool_)
    np.greater_equal(scores, limits, out=reached[:, :-1])
    return np.asarray(reached.argmax(axis=1), dtype=np.int64)


def midway(below: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds between scores below < above that split them with >=, also where no number lies between."""
    middle = 0.5 * (below + above)
    return np.where(middle > below, middle, above)

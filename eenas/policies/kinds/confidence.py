"""The base class of custom policies with one method: a confidence that is compared with a limit."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural
from eenas.escaping import shortened
from eenas.plugins import method_problem
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.policy import NEAR, same_samples
from eenas.policies.values import check_truth, check_whole


@dataclass(frozen=True, kw_only=True)
class ConfidencePolicy(SignalPolicy):
    """A policy where a sample leaves, with the class of the exit, at the first of K `exits` with a high confidence.

    A subclass is marked `@dataclass(frozen=True, kw_only=True)` and defines `confidence`. A sample leaves if its
    confidence is at least `limit` (>= 0). With a limit of 0 all samples leave at the first exit; with None no sample
    leaves early. Raises PolicyError for numbers out of range.
    """

    exits: int
    limit: float | None
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole("exits", self.exits, 1, 10**6)
        check_truth("within_budget", self.within_budget)
        limit = self.limit
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if limit is not None and not (is_number and 0 <= limit < math.inf):
            raise PolicyError(f"a limit must be a number from 0 up or null (no sample leaves), got {shortened(limit)}")

    @abstractmethod
    def confidence(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the confidence of an exit for each of n samples, [n], from raw logits [n, C]; finite and >= 0.

        Other values raise PolicyError where the policy calls this.
        """

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return one shape: a limit for all exits. Raises PolicyError if `confidence` takes other arguments."""
        if (problem := method_problem(cls, "confidence", "logits")) is not None:
            raise PolicyError(f"{getattr(cls, 'kind', cls.__name__)}: {problem}")
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
        """The index of the last exit that any sample may reach: 0 for a limit of 0, else the final exit."""
        return 0 if self.limit == 0 else self.exits - 1

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the state [n] of n samples: the class of the last exit, at first -1."""
        return np.full(n, -1, dtype=np.int64)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        after = np.asarray(logits.argmax(axis=1), dtype=np.int64)
        if k == self.exits - 1:
            return np.ones(len(after), dtype=np.bool_), after
        if self.limit is None:
            return np.zeros(len(after), dtype=np.bool_), after
        return self._confidences(logits) >= self.limit, after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] predicted by the exits at which samples leave."""
        return state

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the logits [n, C] at exit k have a confidence within NEAR of the limit (relative above 1)."""
        if k == self.exits - 1 or not self.limit:
            return np.zeros(len(logits), dtype=np.bool_)
        return self._is_near(self._confidences(logits), self.limit)

    def evidence(self, table: ExitTable) -> Evidence:
        """Return the table without temperatures."""
        return Evidence(table)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the confidences, [N, K - 1]."""
        found = np.empty((len(evidence.table), self.exits - 1), dtype=np.float64)
        for k in range(self.exits - 1):
            found[:, k] = self._confidences(evidence.table.logits[:, k])
        return found

    def limits(self) -> NDArray[np.float64]:
        """Return the limit for each exit, [K - 1], with infinity for None."""
        return np.full(self.exits - 1, math.inf if self.limit is None else float(self.limit))

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return where a confidence is within NEAR of the limit, [N, K - 1]."""
        signals = self.signals(evidence)
        return self._is_near(signals, self.limit) if self.limit else np.zeros(signals.shape, dtype=np.bool_)

    def label(self) -> str:
        """Return a short text, such as "0.812"."""
        return "never" if self.limit is None else f"{self.limit:.3g}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON; None stays None."""
        table: dict[str, Any] = {"kind": self.kind, "exits": self.exits, "limit": self.limit}
        return table if self.within_budget else {**table, "within_budget": False}

    def _confidences(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Return the confidences in float64, from logits in float64 and C order. Raises PolicyError."""
        given = self.confidence(np.ascontiguousarray(logits, dtype=np.float64))
        if (problem := _confidence_problem(given, len(logits))) is not None:
            raise PolicyError(
                f"{getattr(self, 'kind', type(self).__name__)}: confidence must return [n] finite numbers of at least "
                f"0, one for each of n = {plural(len(logits), 'sample')}, got {problem}"
            )
        return np.asarray(given, dtype=np.float64)

    @staticmethod
    def _is_near(confidences: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
        return np.abs(confidences - limit) <= NEAR * max(1.0, limit)


def _confidence_problem(given: Any, n: int) -> str | None:
    """Describe a result of `confidence` for `n` samples that violates its rule; None if it keeps it."""
    if given is None:
        return "None"
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return shortened(given)
    if found.shape != (n,):
        return f"the shape {list(found.shape)}"
    wrong = found[~(np.isfinite(found) & (found >= 0))]
    return f"{wrong[0]:g} for {len(wrong)} of them" if len(wrong) else None

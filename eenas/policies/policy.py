"""The contract of a policy, which decides at each exit which samples leave and which class they answer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural
from eenas.escaping import shortened
from eenas.policies.exit_table import ExitTable

NEAR = 1e-5
"""The distance from a threshold within which two implementations may decide differently."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """The decisions of a policy on a table: the exit taken and the class answered by each sample.

    `exit_index` is int64 [N] in 0..K-1 and `answer` int64 [N]. `near` counts the samples with a decision so close
    (`Policy.near`) that another implementation of the network may decide differently.
    """

    exit_index: NDArray[np.int64]
    answer: NDArray[np.int64]
    near: int


class Policy(ABC):
    """A fitted policy for the K exits of a network: a frozen value, `@dataclass(frozen=True, kw_only=True)`.

    Order of calls: `start` with the number of samples; then, at every exit in order, `decide` with the raw logits of
    the remaining samples and `answer` with the state of the leaving ones (`state[leave]`). The remaining samples go on
    with `state[~leave]`. A state is an array or any other value that can be indexed by a boolean mask over samples.
    Each sample is decided independently of the rest of its batch. All samples leave at the final exit (k = K - 1).
    """

    kind: ClassVar[str]
    """The name of the kind in tables."""

    @property
    @abstractmethod
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample may reach. It determines the worst-case cost."""
        return self.num_exits - 1

    @property
    def within_budget(self) -> bool:
        """Whether the policy holds the limit that it was fitted for. If False, it is the nearest policy."""
        return True

    @abstractmethod
    def start(self, n: int) -> Any:
        """Return the state of n samples before the first exit."""

    @abstractmethod
    def decide(self, k: int, logits: NDArray[Any], state: Any) -> tuple[NDArray[np.bool_], Any]:
        """Return which of n samples leave at exit k, [n], and the next state, from raw logits [n, C] and the state."""

    @abstractmethod
    def answer(self, state: Any) -> NDArray[np.int64]:
        """Return the classes [n] answered by n samples that leave. `state` is the state that `decide` returned."""

    @abstractmethod
    def near(self, k: int, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
        """Return which of n samples are within NEAR of another decision at exit k, [n], from the state before it."""

    @abstractmethod
    def label(self) -> str:
        """Return a short text for tables, such as "0.812, never"."""

    @abstractmethod
    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON, with the key "kind"."""

    def apply(self, table: ExitTable) -> Decisions:
        """Apply the policy to every sample of a table, one exit at a time. Raises PolicyError as `check` does."""
        self.check(table)
        exit_index = np.full(len(table), -1, dtype=np.int64)
        answer = np.full(len(table), -1, dtype=np.int64)
        near = np.zeros(len(table), dtype=np.bool_)
        staying, state = np.arange(len(table)), self.start(len(table))
        for k in range(self.num_exits):
            logits = table.logits[staying, k]
            near[staying] |= self.near(k, logits, state)
            leaving, state = self.decide(k, logits, state)
            exit_index[staying[leaving]] = k
            answer[staying[leaving]] = self.answer(state[leaving])
            staying, state = staying[~leaving], state[~leaving]
        if len(staying):
            raise PolicyError(
                f"all samples must leave at the final exit, the policy {shortened(self.kind)} kept {len(staying)}"
            )
        return Decisions(exit_index=exit_index, answer=answer, near=int(near.sum()))

    def check(self, table: ExitTable) -> None:
        """Raise PolicyError if the table has another number of exits than the policy."""
        if table.num_exits != self.num_exits:
            raise PolicyError(
                f"a policy for {plural(self.num_exits, 'exit')} cannot decide over {table.num_exits}; fit it again"
            )


def same_samples(logits: NDArray[Any], state: Any) -> None:
    """Raise PolicyError if the logits [n, C] and the state have different numbers of samples."""
    if len(logits) != len(state):
        raise PolicyError(f"logits and state must have the same number of samples, got {len(logits)} and {len(state)}")

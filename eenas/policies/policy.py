"""The contract of a policy: what decides, exit by exit, which samples leave, and what they answer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.exit_table import ExitTable

NEAR = 1e-5
"""Two implementations may decide differently only for scores that are this close to a threshold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """What a policy does with a table: `exit_index` int64 [N] in 0..K-1, `answer` int64 [N] the classes answered.

    `near` counts the samples that on their way met a decision so close (`Policy.near`) that another implementation of
    the network may decide differently.
    """

    exit_index: NDArray[np.int64]
    answer: NDArray[np.int64]
    near: int


class Policy(ABC):
    """A fitted policy for the K exits of a network: a frozen value, `@dataclass(frozen=True, kw_only=True)`.

    Order of calls: `start` with the number of samples, then for every exit in order `decide` with the raw logits of
    those who are still there, `answer` with the state of those who leave (`state[leave]`), and so on with the state of
    those who stay (`state[~leave]`) until nobody does. A state is an array or any value that a boolean mask indexes
    by sample; nothing else is known of it. A sample is decided as if it were alone: nothing depends on its batch.
    The final exit (k = K - 1) lets everybody leave.
    """

    kind: ClassVar[str]
    """The name of the kind, in tables."""

    @property
    @abstractmethod
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample may reach, which the worst case costs."""
        return self.num_exits - 1

    @property
    def within_budget(self) -> bool:
        """False when the policy was fitted for a limit that it cannot hold: it is the nearest one then."""
        return True

    @abstractmethod
    def start(self, n: int) -> Any:
        """The state of n samples that have seen no exit yet."""

    @abstractmethod
    def decide(self, k: int, logits: NDArray[Any], state: Any) -> tuple[NDArray[np.bool_], Any]:
        """Which of n samples leave at exit k, [n], given its raw logits [n, C] and their state, and the state after."""

    @abstractmethod
    def answer(self, state: Any) -> NDArray[np.int64]:
        """The classes [n] that n samples answer who leave with this state, the one after the deciding exit."""

    @abstractmethod
    def near(self, k: int, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
        """Which of n samples are within NEAR of another decision at exit k, given the state before it, [n]."""

    @abstractmethod
    def label(self) -> str:
        """Short text for tables, such as "0.812, never"."""

    @abstractmethod
    def to_table(self) -> dict[str, Any]:
        """Plain data with the key "kind", for JSON."""

    def apply(self, table: ExitTable) -> Decisions:
        """What the policy does with every sample of a table, all samples of an exit at once."""
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
                f"a policy lets everybody leave at the final exit, {shortened(self.kind)} kept {len(staying)}"
            )
        return Decisions(exit_index=exit_index, answer=answer, near=int(near.sum()))

    def check(self, table: ExitTable) -> None:
        """Raise PolicyError when the policy is for another number of exits than the table has."""
        if table.num_exits != self.num_exits:
            raise PolicyError(f"a policy for {self.num_exits} exits cannot decide over {table.num_exits}; fit it anew")


def same_samples(logits: NDArray[Any], state: Any) -> None:
    """Raise PolicyError when logits [n, C] and a state of another number of samples were given together."""
    if len(logits) != len(state):
        raise PolicyError(f"logits and state must be of the same samples, got {len(logits)} and {len(state)}")

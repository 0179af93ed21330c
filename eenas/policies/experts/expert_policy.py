"""The policy of a network with experts: each sample is decided by the policy of its expert."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.exit_table import ExitTable
from eenas.policies.experts.routed_table import RoutedTable
from eenas.policies.policy import Decisions, Policy, same_samples


@dataclass(frozen=True, eq=False)
class ExpertState:
    """The state of n samples: the expert `chosen` [n] for each, and for each expert the state of its own samples."""

    chosen: NDArray[np.int64]
    inner: tuple[Any, ...]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.chosen)

    def __getitem__(self, mask: NDArray[np.bool_]) -> "ExpertState":
        """Return the state of the samples in `mask`."""
        inner = tuple(state[mask[self.chosen == number]] for number, state in enumerate(self.inner))
        return ExpertState(self.chosen[mask], inner)


@dataclass(frozen=True, kw_only=True)
class ExpertPolicy(Policy):
    """One policy for each expert, with its own temperatures and thresholds, all for the same K exits.

    `names` are those of the experts, in the order of their numbers; the first is the expert for clean samples. `begin`
    starts samples with their experts; `start` starts all with the first one. Raises PolicyError for names and policies
    that do not match.
    """

    kind: ClassVar[str] = "experts"

    names: Sequence[str]
    policies: Sequence[Policy]

    def __post_init__(self) -> None:
        """Convert to tuples and check the values."""
        if not all(isinstance(each, list | tuple) for each in (self.names, self.policies)):
            raise PolicyError(f"names and policies of experts must be lists, got {shortened(self.names)}")
        names, policies = tuple(self.names), tuple(self.policies)
        if not policies or len(names) != len(policies) or not all(isinstance(name, str) for name in names):
            raise PolicyError(f"each expert needs a name and a policy, got {len(policies)} for {shortened(names)}")
        if len(set(names)) != len(names):
            raise PolicyError(f"the names of experts must differ, got {shortened(names)}")
        if not all(isinstance(each, Policy) and not isinstance(each, ExpertPolicy) for each in policies):
            raise PolicyError(f"the policies of experts must be plain policies, got {shortened(policies)}")
        if len({each.num_exits for each in policies}) != 1:
            counts = [each.num_exits for each in policies]
            raise PolicyError(f"the policies of experts must be for the same exits, got {shortened(counts)}")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "policies", policies)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policies[0].num_exits

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample of any expert may reach."""
        return max(each.last_reachable for each in self.policies)

    @property
    def within_budget(self) -> bool:
        """Whether the policy of every expert holds the limit that it was fitted for."""
        return all(each.within_budget for each in self.policies)

    def start(self, n: int) -> ExpertState:
        """Return the state of n samples that all have the first expert."""
        return self.begin(np.zeros(n, dtype=np.int64))

    def begin(self, chosen: NDArray[np.int64]) -> ExpertState:
        """Return the state of n samples with the experts `chosen` [n]. Raises PolicyError for unknown experts."""
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self.policies):
            raise PolicyError(
                f"experts are numbered from 0 to {len(self.policies) - 1}, got {chosen.min()} to {chosen.max()}"
            )
        counts = np.bincount(chosen, minlength=len(self.policies))
        return ExpertState(
            chosen, tuple(each.start(int(count)) for each, count in zip(self.policies, counts, strict=True))
        )

    def decide(self, k: int, logits: NDArray[Any], state: ExpertState) -> tuple[NDArray[np.bool_], ExpertState]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        leave, inner = np.zeros(len(state), dtype=np.bool_), list(state.inner)
        for number, rows in self._groups(state):
            leave[rows], inner[number] = self.policies[number].decide(k, logits[rows], state.inner[number])
        return leave, ExpertState(state.chosen, tuple(inner))

    def answer(self, state: ExpertState) -> NDArray[np.int64]:
        """Return the classes [n] that the experts' policies answer."""
        found = np.zeros(len(state), dtype=np.int64)
        for number, rows in self._groups(state):
            found[rows] = self.policies[number].answer(state.inner[number])
        return found

    def near(self, k: int, logits: NDArray[Any], state: ExpertState) -> NDArray[np.bool_]:
        """Return which of n samples are within NEAR of another decision at exit k, [n]."""
        found = np.zeros(len(state), dtype=np.bool_)
        for number, rows in self._groups(state):
            found[rows] = self.policies[number].near(k, logits[rows], state.inner[number])
        return found

    def apply(self, table: ExitTable) -> Decisions:
        """Apply the policy of each sample's expert. Raises PolicyError for a table that does not know the experts."""
        self.check(table)
        if not isinstance(table, RoutedTable):
            raise PolicyError("a policy of experts decides over a RoutedTable, which knows the expert of each sample")
        state = self.begin(table.chosen)
        exit_index, answer = (np.full(len(table), -1, dtype=np.int64) for _ in range(2))
        near = 0
        for number, rows in self._groups(state):
            own = table.of_expert(number)
            assert own is not None
            decided = self.policies[number].apply(own)
            exit_index[rows], answer[rows] = decided.exit_index, decided.answer
            near += decided.near
        return Decisions(exit_index=exit_index, answer=answer, near=near)

    def label(self) -> str:
        """Return the policies as text, such as "pristine 0.812, gaussian_blur 0.640"."""
        return "; ".join(f"{name} {each.label()}" for name, each in zip(self.names, self.policies, strict=True))

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"kind": self.kind, "names": list(self.names), "policies": [each.to_table() for each in self.policies]}

    def _groups(self, state: ExpertState) -> list[tuple[int, NDArray[np.int64]]]:
        """Return the number of each expert with samples, and their positions."""
        groups = ((number, np.flatnonzero(state.chosen == number)) for number in range(len(self.policies)))
        return [(number, rows) for number, rows in groups if len(rows)]

"""Thresholds per context: a policy for each known context, and one for all other samples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.escaping import shortened
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Decisions, Policy


@dataclass(frozen=True, kw_only=True)
class ContextPolicy(Policy):
    """A policy for each context, with its own temperatures and thresholds, all for the same K exits.

    `contexts` are names such as "clean" or "gaussian_blur:3", or kinds such as "gaussian_blur", which stand for every
    severity without a policy of its own. `policies` belong to them, and `policy` decides samples of other and of
    unknown contexts. `of` returns the policy of one context. Where no context is given, `policy` decides.

    Raises PolicyError for names and policies that do not match.
    """

    kind: ClassVar[str] = "contexts"

    contexts: Sequence[str]
    policies: Sequence[Policy]
    policy: Policy

    def __post_init__(self) -> None:
        """Convert to tuples and check the values."""
        if not all(isinstance(each, list | tuple) for each in (self.contexts, self.policies)):
            raise PolicyError(f"contexts and their policies must be lists, got {shortened(self.contexts)}")
        contexts, policies = tuple(self.contexts), tuple(self.policies)
        if len(contexts) != len(policies) or not all(isinstance(name, str) and name for name in contexts):
            raise PolicyError(f"each context needs a name and a policy, got {len(policies)} for {shortened(contexts)}")
        if len(set(contexts)) != len(contexts):
            raise PolicyError(f"the names of contexts must differ, got {shortened(contexts)}")
        every = (*policies, self.policy)
        if not all(isinstance(each, Policy) and not isinstance(each, ContextPolicy) for each in every):
            raise PolicyError(f"the policies of contexts must not have contexts themselves, got {shortened(every)}")
        if len({each.num_exits for each in every}) != 1:
            counts = [each.num_exits for each in every]
            raise PolicyError(f"the policies of contexts must be for the same exits, got {shortened(counts)}")
        object.__setattr__(self, "contexts", contexts)
        object.__setattr__(self, "policies", policies)

    def of(self, context: str | None) -> Policy:
        """Return the policy of a context, else that of its kind, else the one for other samples."""
        found = self.known(context)
        return self.policy if found is None else self.policies[self.contexts.index(found)]

    def known(self, context: str | None) -> str | None:
        """Return the name under which a context is known: itself, its kind, or None."""
        if context is None:
            return None
        return next((name for name in (context, context.rpartition(":")[0]) if name in self.contexts), None)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policy.num_exits

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that a sample of any context may reach."""
        return max(each.last_reachable for each in (*self.policies, self.policy))

    @property
    def within_budget(self) -> bool:
        """Whether the policy of every context holds the limit that it was fitted for."""
        return all(each.within_budget for each in (*self.policies, self.policy))

    def start(self, n: int) -> Any:
        """Return the state of n samples of unknown context."""
        return self.policy.start(n)

    def decide(self, k: int, logits: NDArray[Any], state: Any) -> tuple[NDArray[np.bool_], Any]:
        """Return which of n samples of unknown context leave at exit k, [n], and the next state."""
        return self.policy.decide(k, logits, state)

    def answer(self, state: Any) -> NDArray[np.int64]:
        """Return the classes [n] answered by n samples of unknown context."""
        return self.policy.answer(state)

    def near(self, k: int, logits: NDArray[Any], state: Any) -> NDArray[np.bool_]:
        """Return which of n samples of unknown context are within NEAR of another decision at exit k, [n]."""
        return self.policy.near(k, logits, state)

    def apply(self, table: ExitTable) -> Decisions:
        """Apply the policy of each sample's context; samples of a table without contexts have an unknown one."""
        self.check(table)
        if table.contexts is None:
            return self.policy.apply(table)
        exit_index, answer = (np.full(len(table), -1, dtype=np.int64) for _ in range(2))
        near = 0
        for name, part in table.by_context().items():
            rows = np.flatnonzero(table.contexts == name)
            decided = self.of(name).apply(part)
            exit_index[rows], answer[rows] = decided.exit_index, decided.answer
            near += decided.near
        return Decisions(exit_index=exit_index, answer=answer, near=near)

    def label(self) -> str:
        """Return the policies as text, such as "clean 0.812; gaussian_blur:3 0.640; other 0.771"."""
        pairs = zip((*self.contexts, "other"), (*self.policies, self.policy), strict=True)
        return "; ".join(f"{name} {each.label()}" for name, each in pairs)

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "kind": self.kind,
            "contexts": list(self.contexts),
            "policies": [each.to_table() for each in self.policies],
            "policy": self.policy.to_table(),
        }


def policy_in(policy: Policy, context: str | None) -> Policy:
    """Return the policy that decides samples of a context (None: unknown).

    A context that was not in calibration gets a warning and the policy fitted on all calibration samples. Raises
    PolicyError for a context if the policy has the same thresholds in every context, and for other values.
    """
    if isinstance(policy, ContextPolicy):
        if context is not None and not isinstance(context, str):
            raise PolicyError(f"a context is a name such as 'clean', got {shortened(context)}")
        if context is not None and policy.known(context) is None:
            warnings.warn(
                f"the context {shortened(context)} was not in calibration; its samples are decided by thresholds "
                "fitted on all calibration samples",
                stacklevel=3,
            )
        return policy.of(context)
    if context is not None:
        raise PolicyError(
            f"the policy has the same thresholds in every context, got {shortened(context)}; leave the context out, or "
            "fit thresholds per context"
        )
    return policy

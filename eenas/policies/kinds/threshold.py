"""The threshold policy: a sample leaves at the first exit whose score reaches the exit's threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.policy import NEAR, Policy, same_samples
from eenas.policies.scores import reaches, score
from eenas.policies.values import check_choice, limits_of, temperatures_of


@dataclass(frozen=True, kw_only=True)
class ThresholdPolicy(SignalPolicy):
    """A fitted policy for K exits (BranchyNet, Teerapittayanon et al. 2016; SDN, Kaya et al. 2019).

    `temperatures` (K, the final exit last) divide the logits before scoring. A sample leaves at exit k if its score is
    at least `thresholds[k]` (K - 1, in [0, 1]). At a threshold of 0 all samples leave, at None no sample does. All
    samples leave at the final exit. `within_budget` is False if the policy was fitted for a limit that no threshold
    holds; it is then the nearest point.

    Raises PolicyError for an unknown score, numbers out of range, and counts that do not match.
    """

    kind: ClassVar[str] = "threshold"
    compares: ClassVar[bool] = True

    score: str
    temperatures: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Convert sequences to tuples of plain floats and check the values."""
        check_choice(self.score, self.within_budget)
        temperatures, thresholds = temperatures_of(self.temperatures), limits_of(self.thresholds)
        if not temperatures or len(thresholds) != len(temperatures) - 1:
            counts = f"{len(temperatures)} and {len(thresholds)}"
            raise PolicyError(f"K exits need K temperatures and K - 1 thresholds, got {counts}")
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

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return one shape: a threshold for all exits."""

        def make(limit: float, within: bool) -> ThresholdPolicy:
            thresholds = (None if math.isinf(limit) else limit,) * (exits - 1)
            return cls(score=score, temperatures=temperatures, thresholds=thresholds, within_budget=within)

        return (make,)

    def start(self, n: int) -> NDArray[np.int64]:
        """Return the state [n] of n samples: the class of the last exit, at first -1."""
        return np.full(n, -1, dtype=np.int64)

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        after = np.asarray(logits.argmax(axis=1), dtype=np.int64)
        if k == self.num_exits - 1:
            return np.ones(len(after), dtype=np.bool_), after
        threshold = self.thresholds[k]
        if threshold is None:
            return np.zeros(len(after), dtype=np.bool_), after
        return reaches(logits, self.temperatures[k], self.score, threshold), after

    def answer(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes [n] predicted by the exits at which samples leave."""
        return state

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the logits [n, C] at exit k have a score within NEAR of its threshold."""
        threshold = self.thresholds[k] if k < self.num_exits - 1 else None
        if threshold is None or threshold == 0:
            return np.zeros(len(logits), dtype=np.bool_)
        return np.abs(score(logits, self.temperatures[k], self.score) - threshold) <= NEAR

    def evidence(self, table: ExitTable) -> Evidence:
        """Return the scores at the temperatures of this policy."""
        return Evidence(table, self.temperatures, self.score)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the scores, [N, K - 1]."""
        return evidence.scores

    def limits(self) -> NDArray[np.float64]:
        """Return the thresholds [K - 1], with infinity for None."""
        return np.array([math.inf if value is None else value for value in self.thresholds], dtype=np.float64)

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return where a score is within NEAR of a threshold above 0, [N, K - 1]."""
        limits = self.limits()
        return (np.abs(evidence.scores - limits) <= NEAR) & (limits > 0)

    def label(self) -> str:
        """Return the thresholds as text, such as "0.812, never"."""
        texts = ["never" if value is None else threshold_text(value) for value in self.thresholds]
        return ", ".join(texts) or "one exit"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON; None stays None."""
        table: dict[str, Any] = {
            "kind": self.kind,
            "score": self.score,
            "temperatures": list(self.temperatures),
            "thresholds": list(self.thresholds),
        }
        return table if self.within_budget else {**table, "within_budget": False}


ONE_EXIT = ThresholdPolicy(score="max_softmax", temperatures=(1.0,), thresholds=())
"""The policy of a network with one exit, which makes no decisions."""


def with_thresholds(policy: Policy, thresholds: tuple[float | None, ...]) -> Policy:
    """Return the policy with other thresholds, also if it is wrapped by another policy. Raises PolicyError."""
    if isinstance(policy, ThresholdPolicy):
        return replace(policy, thresholds=thresholds, within_budget=True)
    inner, several = getattr(policy, "policy", None), getattr(policy, "policies", ())
    changed: dict[str, Any] = {"policy": with_thresholds(inner, thresholds)} if isinstance(inner, Policy) else {}
    if several:  # of experts or contexts
        changed["policies"] = [with_thresholds(each, thresholds) for each in several]
    if not changed:
        raise PolicyError(f"the policy {policy.kind!r} has no thresholds; use set_budget or set_policy")
    return replace(policy, **changed)  # type: ignore[type-var]


def own_thresholds(policy: Policy | None) -> tuple[float | None, ...] | None:
    """Return the thresholds on the largest probability of a policy, also if it is wrapped, or None if it has none."""
    while policy is not None and not isinstance(policy, ThresholdPolicy):
        inner = getattr(policy, "policy", None)
        policy = inner if isinstance(inner, Policy) and policy.kind == "most_confident" else None
    return policy.thresholds if policy is not None and policy.score == "max_softmax" else None


def threshold_text(value: float) -> str:
    """Return a threshold with three decimals, and with more below 1 if it would look like 1: "0.812", "0.99962"."""
    digits = 3
    while value < 1 and round(value, digits) == 1 and digits < 17:
        digits += 2
    return f"{value:.{digits}f}"


def midway(below: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return thresholds that separate scores below < above with >=, even if no float lies between them."""
    middle = 0.5 * (below + above)
    return np.where(middle > below, middle, above)

"""Policies of one signal: a sample leaves at the first exit where its signal reaches the limit."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eenas.policies.exit_table import ExitTable
from eenas.policies.learned.features import table_features
from eenas.policies.policy import NEAR, Decisions, Policy
from eenas.policies.scores import branch_scores

Temperatures: TypeAlias = tuple[float, ...]
Make: TypeAlias = Callable[[float, bool], "SignalPolicy"]
"""Makes the policy from a common limit (infinity: no sample leaves early) and whether it holds the budget."""


class Evidence:
    """The data that policies of one signal decide from on a table, computed lazily and shared by many policies.

    `kept` holds signals that a kind computes once for many policies, under keys of its own.
    """

    def __init__(self, table: ExitTable, temperatures: tuple[float, ...] = (), score: str = "max_softmax") -> None:
        self.table, self.temperatures, self.score = table, temperatures, score
        self.kept: dict[Any, NDArray[np.float64]] = {}

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """The score of every exit except the final one, at its temperature, [N, K - 1]."""
        return branch_scores(self.table.logits, self.temperatures, self.score)

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """The features of learned policies at every exit except the final one, [N, K - 1, features]."""
        return table_features(self.table.logits, self.answers, self.temperatures)

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """The class of every exit, [N, K]."""
        return self.table.answers()

    @cached_property
    def tied(self) -> NDArray[np.bool_]:
        """Whether the two largest probabilities of an exit are within NEAR, which leaves its class open, [N, K - 1]."""
        return branch_scores(self.table.logits, (1.0,) * self.table.num_exits, "margin") <= NEAR


class SignalPolicy(Policy):
    """A policy that compares one number with a limit: samples leave at the first k with `signals[:, k] >= limits[k]`.

    All limits can be fitted at once (`signal_curve`). The kind defines the signal: a score, agreement of exits, or a
    vote. `within_budget` is False if the policy cannot hold the limit that it was fitted for.
    """

    compares: ClassVar[bool] = False
    """Whether a temperature-scaled confidence is compared. If True, temperatures are fitted and the score is used."""

    @classmethod
    @abstractmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return the functions that make policies of this kind for K `exits`, one for each shape.

        Policies of one shape differ only in their limit. `temperatures` (K, or empty unless `compares`) and `score` are
        those of the confidence.
        """

    @abstractmethod
    def evidence(self, table: ExitTable) -> Evidence:
        """Return the evidence that this policy decides from."""

    @abstractmethod
    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the signal of every exit except the final one, [N, K - 1]; minus infinity if no sample can leave."""

    @abstractmethod
    def limits(self) -> NDArray[np.float64]:
        """Return the limits [K - 1] of the signals. With infinity no sample leaves there."""

    @abstractmethod
    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return `near` for every sample and exit, as if the sample reached the exit, [N, K - 1]."""

    def answers(self, evidence: Evidence) -> NDArray[np.int64]:
        """Return the class that each sample answers if it leaves at each exit, [N, K]."""
        return evidence.answers

    def follow(self, evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the exits [N] at which samples leave and the classes [N] that they answer."""
        exit_index = leave(self.signals(evidence), self.limits())
        return exit_index, self.answers(evidence)[np.arange(len(exit_index)), exit_index]

    def apply(self, table: ExitTable) -> Decisions:
        """Apply the policy to every sample of a table. The result is that of `decide` at each exit, in one step."""
        self.check(table)
        evidence = self.evidence(table)
        exit_index, answer = self.follow(evidence)
        met = np.arange(self.num_exits - 1) <= exit_index[:, None]
        return Decisions(exit_index=exit_index, answer=answer, near=int((self.close(evidence) & met).any(axis=1).sum()))


def leave(signals: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the exit [N] of each sample: the first k with signals[:, k] >= limits[k], else the final exit, K - 1."""
    reached = np.ones((signals.shape[0], signals.shape[1] + 1), dtype=np.bool_)
    np.greater_equal(signals, limits, out=reached[:, :-1])
    return np.asarray(reached.argmax(axis=1), dtype=np.int64)

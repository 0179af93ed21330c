"""Policies of one signal: a sample leaves at the first exit whose signal reaches the limit there."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import NEAR, Decisions, Policy
from eenas.policies.scores import branch_scores

Temperatures: TypeAlias = tuple[float, ...]
Make: TypeAlias = Callable[[float, bool], "SignalPolicy"]
"""From one limit for all exits (infinity: nobody leaves early) and whether a budget is held to the policy."""


class Evidence:
    """What decisions over a whole table are made from, computed once for many policies and only where it is used."""

    def __init__(self, table: ExitTable, temperatures: tuple[float, ...] = (), score: str = "max_softmax") -> None:
        self.table, self.temperatures, self.score = table, temperatures, score

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """The tempered score of every exit but the final one, [N, K - 1]."""
        return branch_scores(self.table.logits, self.temperatures, self.score)

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """The class of every exit, [N, K]."""
        return self.table.answers()

    @cached_property
    def tied(self) -> NDArray[np.bool_]:
        """Where an exit's two largest probabilities are within NEAR, so that its class may be another, [N, K - 1]."""
        return branch_scores(self.table.logits, (1.0,) * self.table.num_exits, "margin") <= NEAR


class SignalPolicy(Policy):
    """A policy whose decision at exit k compares a number with a limit: the first `signals[:, k] >= limits[k]` wins.

    That makes all its limits fit at once (`signal_curve`). What the signal is made of is the kind's: a score, exits
    that agree, a vote. `within_budget` is False when the policy was fitted for a limit that it cannot hold.
    """

    compares: ClassVar[bool] = False
    """Whether a tempered confidence is compared, so that temperatures are fitted and the score counts."""

    @classmethod
    @abstractmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """What makes policies of this kind for K `exits`: a function for each shape that differs in more than a limit.

        `temperatures` (K of them, none where nothing `compares`) and `score` are those of the confidence.
        """

    @abstractmethod
    def evidence(self, table: ExitTable) -> Evidence:
        """The evidence that this policy decides from."""

    @abstractmethod
    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """The signal of every exit but the final one, [N, K - 1]; minus infinity where nobody can leave."""

    @abstractmethod
    def limits(self) -> NDArray[np.float64]:
        """What the signals [K - 1] must reach; infinity: nobody leaves there."""

    @abstractmethod
    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Where `near` is true for a sample that meets the exit, [N, K - 1]."""

    def answers(self, evidence: Evidence) -> NDArray[np.int64]:
        """What a sample answers that leaves at each exit, [N, K]."""
        return evidence.answers

    def follow(self, evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The exits [N] at which samples leave and the classes [N] that they answer."""
        exit_index = leave(self.signals(evidence), self.limits())
        return exit_index, self.answers(evidence)[np.arange(len(exit_index)), exit_index]

    def apply(self, table: ExitTable) -> Decisions:
        """What the policy does with every sample of a table: the same as `decide` exit by exit, all at once."""
        self.check(table)
        evidence = self.evidence(table)
        exit_index, answer = self.follow(evidence)
        met = np.arange(self.num_exits - 1) <= exit_index[:, None]
        return Decisions(exit_index=exit_index, answer=answer, near=int((self.close(evidence) & met).any(axis=1).sum()))


def leave(signals: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """The exit [N] where each sample leaves: the first k with signals[:, k] >= limits[k], else the final one, K - 1."""
    reached = np.ones((signals.shape[0], signals.shape[1] + 1), dtype=np.bool_)
    np.greater_equal(signals, limits, out=reached[:, :-1])
    return np.asarray(reached.argmax(axis=1), dtype=np.int64)

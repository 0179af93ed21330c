"""Learned policies: a sample leaves at the first exit whose gate gives a high enough probability to stop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.kinds.signal_policy import Evidence, Make, SignalPolicy, Temperatures
from eenas.policies.learned.features import (
    AGREEMENT,
    SHARP,
    SMOOTH,
    agreement,
    confidence_features,
    joined_features,
    quick_features,
)
from eenas.policies.learned.gate import Gate, gate_rows
from eenas.policies.policy import NEAR, same_samples
from eenas.policies.scores import score
from eenas.policies.values import check_truth, limits_of, temperatures_of

_FLOAT32 = np.dtype(np.float32)

_CLOSE = 1e-9
"""A bound on the difference of probabilities that were summed in another order."""


@dataclass(frozen=True, kw_only=True)
class LearnedPolicy(SignalPolicy):
    """A policy for K exits of which K - 1 have a gate (`Gate`); a subclass is a way to train them.

    At exit k a sample leaves if the probability to stop, the sigmoid of its gate, is at least `limit`, in [0, 1]. With
    a limit of 0 all samples leave at the first exit, with None none leaves early. `temperatures` (K, the final exit
    last) divide the logits. `first` and `last` (K - 1 rows each) are the weights of the gates, on features that are not
    standardised. Samples answer the class of the exit where they leave. Raises PolicyError for counts that do not
    match and numbers out of range.
    """

    compares: ClassVar[bool] = True
    inputs: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4)
    """The positions in FEATURES of the gates' features."""

    temperatures: tuple[float, ...]
    first: tuple[tuple[float, ...], ...]
    last: tuple[tuple[float, ...], ...]
    limit: float | None
    within_budget: bool = True

    def __post_init__(self) -> None:
        """Convert to plain floats and check the values."""
        check_truth("within_budget", self.within_budget)
        temperatures = temperatures_of(self.temperatures)
        if not temperatures:
            raise PolicyError("K exits need K temperatures, got none")
        first, last = gate_rows(self.first, self.last, len(self.inputs), len(temperatures) - 1)
        object.__setattr__(self, "temperatures", temperatures)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "last", last)
        object.__setattr__(self, "limit", limits_of((self.limit,), "a probability to stop")[0])

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return len(self.temperatures)

    @property
    def last_reachable(self) -> int:
        """The index of the last exit that any sample may reach: 0 for a limit of 0, else the final exit."""
        return 0 if self.limit == 0 else self.num_exits - 1

    @classmethod
    def shapes(cls, exits: int, temperatures: Temperatures, score: str) -> Sequence[Make]:
        """Return no shape: gates are trained on a table (`eenas.policies.learned.selection`)."""
        return ()

    def start(self, n: int) -> NDArray[np.float64]:
        """Return the state [n, 2 + exits so far]: the class to answer (first -1), the last confidence, the classes."""
        return np.tile(np.array([-1.0, 0.0]), (n, 1))

    def decide(
        self, k: int, logits: NDArray[Any], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        if k == self.num_exits - 1 or not self.limit:  # no gate decides
            leaving = np.full(len(logits), k == self.num_exits - 1 or self.limit is not None)
            return leaving, _after(state, logits.argmax(axis=1), np.zeros(len(logits)))
        if len(logits) == 1 and logits.dtype == _FLOAT32:
            found = self._decide_one(k, logits[0], state[0])
            if found is not None:
                return found
        classes = logits.argmax(axis=1)
        features = self._features(k, logits, classes, state)
        leaving = stop_probability(self.gates[k].exact(features[:, self.inputs])) >= self.limit
        return leaving & np.isfinite(logits).all(axis=1), _after(state, classes, features[:, 0])

    def answer(self, state: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the classes [n] predicted by the exits at which samples leave."""
        return state[:, 0].astype(np.int64)

    def near(self, k: int, logits: NDArray[Any], state: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return where scores that differ by NEAR may change the decision at exit k, [n].

        So it is if the gate's logit is close to that of the limit, or if two classes are equally likely and agreement
        of exits counts.
        """
        if k == self.num_exits - 1 or not self.limit:
            return np.zeros(len(logits), dtype=np.bool_)
        features = self._features(k, logits, logits.argmax(axis=1), state)
        found = self._is_near(k, self.gates[k].exact(features[:, self.inputs]))
        return found | (score(logits, kind="margin") <= NEAR) if AGREEMENT in self.inputs else found

    def evidence(self, table: Any) -> Evidence:
        """Return the features at the temperatures of this policy."""
        return Evidence(table, self.temperatures)

    def signals(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the probabilities to stop, [N, K - 1]."""
        return stop_probability(self.gate_logits(evidence))

    def gate_logits(self, evidence: Evidence) -> NDArray[np.float64]:
        """Return the logits of the gates, [N, K - 1]. They are kept in the evidence for policies with other limits."""
        key = (type(self), self.first, self.last)
        if key not in evidence.kept:
            found = np.empty(evidence.features.shape[:2], dtype=np.float64)
            for k, gate in enumerate(self.gates):
                found[:, k] = gate.exact(evidence.features[:, k, self.inputs])
            evidence.kept[key] = found
        return evidence.kept[key]

    def limits(self) -> NDArray[np.float64]:
        """Return the limit for each exit, [K - 1], with infinity for None."""
        return np.full(self.num_exits - 1, math.inf if self.limit is None else self.limit)

    def close(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Return `near` for every sample and exit, [N, K - 1]."""
        logits = self.gate_logits(evidence)
        if not self.limit:
            return np.zeros(logits.shape, dtype=np.bool_)
        found = np.empty(logits.shape, dtype=np.bool_)
        for k in range(self.num_exits - 1):
            found[:, k] = self._is_near(k, logits[:, k])
        return found | evidence.tied if AGREEMENT in self.inputs else found

    def label(self) -> str:
        """Return a short text, such as "policy_gradient at 0.512"."""
        return f"{self.kind}: never" if self.limit is None else f"{self.kind} at {self.limit:.3f}"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON; None stays None."""
        table: dict[str, Any] = {
            "kind": self.kind,
            "temperatures": list(self.temperatures),
            "first": [list(row) for row in self.first],
            "last": [list(row) for row in self.last],
            "limit": self.limit,
        }
        return table if self.within_budget else {**table, "within_budget": False}

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        """The gates of the K - 1 branches."""
        return tuple(Gate(one, other, len(self.inputs)) for one, other in zip(self.first, self.last, strict=True))

    @cached_property
    def _sharp(self) -> bool:
        """Whether the gates read the entropy of squared probabilities."""
        return SHARP in self.inputs

    @cached_property
    def _slopes(self) -> tuple[float, ...]:
        """The largest change of each gate's logit if every confidence changes by at most 1."""
        smooth = [position for position, feature in enumerate(self.inputs) if feature in SMOOTH]
        return tuple(gate.slope(smooth) for gate in self.gates)

    def _features(
        self, k: int, logits: NDArray[Any], classes: NDArray[np.int64], state: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        scores = confidence_features(logits, self.temperatures[k], sharp=self._sharp)
        return joined_features(k, self.num_exits, scores, agreement(state[:, 2:], classes), state[:, 1])

    def _decide_one(
        self, k: int, logits: NDArray[np.float32], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
        """`decide` for one sample with a gate, faster; None where rounding matters or a number is not finite."""
        assert self.limit
        found, earlier = quick_features(logits, self.temperatures[k], sharp=self._sharp), state.tolist()
        if found is None:
            return None
        answer = float(logits.argmax())
        agreeing = earlier[2:].count(answer) / k if k else 0.0
        given = [*found[:3], agreeing, earlier[1], k / self.num_exits, *found[3:]]
        logit = self.gates[k].quick([given[position] for position in self.inputs])
        probability = 1.0 / (1.0 + math.exp(-logit)) if logit > -700 else 0.0
        if abs(probability - self.limit) <= _CLOSE:
            return None
        earlier[:2] = answer, found[0]
        earlier.append(answer)
        return np.array((probability > self.limit,)), np.array((earlier,))

    def _is_near(self, k: int, logits: NDArray[np.float64]) -> NDArray[np.bool_]:
        assert self.limit
        middle = math.log(self.limit / (1.0 - self.limit)) if self.limit < 1 else math.inf
        return np.asarray(np.abs(logits - middle) <= NEAR * max(1.0, self._slopes[k]))


def stop_probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sigmoid of logits, elementwise."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def _after(
    state: NDArray[np.float64], classes: NDArray[np.int64], confidences: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the next state from the classes and the confidences [n] of an exit."""
    found = np.empty((len(state), state.shape[1] + 1), dtype=np.float64)
    found[:, 0], found[:, 1] = classes, confidences
    found[:, 2:-1], found[:, -1] = state[:, 2:], classes
    return found

"""The geometric ensemble: at every exit the exits seen so far decide and answer together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy, same_samples
from eenas.policies.values import numbers_of

LEAST = -1e4
"""Log-probabilities are no lower: a product of exits stays finite."""


@dataclass(frozen=True, eq=False)
class EnsembleState:
    """The state of n samples: the wrapped policy's, and the log-probabilities of every exit seen, each [n, C]."""

    inner: Any
    seen: tuple[NDArray[np.float64], ...]
    samples: int

    def __len__(self) -> int:
        """The number of samples."""
        return self.samples

    def __getitem__(self, mask: NDArray[np.bool_]) -> EnsembleState:
        """The state of some of the samples."""
        return EnsembleState(self.inner[mask], tuple(each[mask] for each in self.seen), int(mask.sum()))


@dataclass(frozen=True, kw_only=True)
class GeometricPolicy(Policy):
    """Another policy for K exits that is shown products of exits (Zero Time Waste, Wołczyk et al. 2021, section 3.2).

    Instead of exit k's logits, `policy` decides over and answers with those of the weighted geometric mean
    q_k ~ softmax(1/(k+1) sum_{j<=k} exp(w_kj) log p_j + b_k) of p_j = softmax(logits of exit j). Row k of `weights`
    holds w_k0..w_kk; row k of `biases` b_k, one for each class, or nothing: zeros. What exits cost is not changed: the
    sums over classes cost next to nothing. Raises PolicyError for counts that do not fit and numbers out of range.
    """

    kind: ClassVar[str] = "geometric"

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[tuple[float, ...], ...]
    policy: Policy

    def __post_init__(self) -> None:
        """Convert to plain floats and refuse what does not fit the policy."""
        weights, biases = numbers_of("weights of exits", self.weights), numbers_of("biases of exits", self.biases)
        exits = self.policy.num_exits
        if [len(row) for row in weights] != list(range(1, exits + 1)):
            raise PolicyError(f"{exits} exits need 1 to {exits} weights, got {[len(row) for row in weights]}")
        if len(biases) != exits or len({len(row) for row in biases}) != 1:
            lengths = [len(row) for row in biases]
            raise PolicyError(f"{exits} exits need as many rows of biases of one length, got lengths {lengths}")
        if max(abs(value) for row in weights for value in row) > 20:
            raise PolicyError("weights of exits are logarithms in [-20, 20], got one beyond; fit them anew")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policy.num_exits

    @property
    def last_reachable(self) -> int:
        """As the policy says."""
        return self.policy.last_reachable

    @property
    def within_budget(self) -> bool:
        """As the policy says."""
        return self.policy.within_budget

    def start(self, n: int) -> EnsembleState:
        """The state of n samples that have seen no exit yet."""
        return EnsembleState(self.policy.start(n), (), n)

    def decide(self, k: int, logits: NDArray[Any], state: EnsembleState) -> tuple[NDArray[np.bool_], EnsembleState]:
        """Which of n samples leave at exit k, given its logits [n, C] and their state, and their state after it."""
        same_samples(logits, state)
        seen = (*state.seen, log_probabilities(logits))
        leaving, inner = self.policy.decide(k, self._together(k, seen), state.inner)
        return leaving, EnsembleState(inner, seen, state.samples)

    def answer(self, state: EnsembleState) -> NDArray[np.int64]:
        """The classes [n] that the policy answers, which was shown the ensemble."""
        return self.policy.answer(state.inner)

    def near(self, k: int, logits: NDArray[Any], state: EnsembleState) -> NDArray[np.bool_]:
        """As the policy says of the ensemble."""
        return self.policy.near(k, self._together(k, (*state.seen, log_probabilities(logits))), state.inner)

    def view(self, table: ExitTable) -> ExitTable:
        """The table on which the wrapped policy does what this one does on `table`."""
        return ensembled(table, self.weights, self.biases)

    def label(self) -> str:
        """The policy's, and that exits decide together."""
        return f"{self.policy.label()}; exits together"

    def to_table(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        values = {"weights": [list(row) for row in self.weights], "biases": [list(row) for row in self.biases]}
        return {"kind": self.kind, **values, "policy": self.policy.to_table()}

    def _together(self, k: int, seen: tuple[NDArray[np.float64], ...]) -> NDArray[np.float32]:
        return together(seen, self.weights[k], self.biases[k])


def log_probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Log-probabilities [n, C], at least LEAST, of logits [n, C]; zeros for a row that is not finite: it says nothing.

    Row by row in float64, so that a sample has the same ones in a table and alone in a batch, bit for bit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        below = np.array(logits.astype(np.float32), dtype=np.float64, order="C")
        below -= below.max(axis=1, keepdims=True)
        below -= np.log(np.exp(below).sum(axis=1, keepdims=True))
        below[~np.isfinite(below).all(axis=1)] = 0.0
    return np.maximum(below, LEAST, out=below)


def together(
    seen: tuple[NDArray[np.float64], ...], weights: tuple[float, ...], biases: tuple[float, ...]
) -> NDArray[np.float32]:
    """The logits [n, C] of the ensemble of exits with these log-probabilities, its largest 0 in every row."""
    found = np.zeros_like(seen[0])
    for log_probability, weight in zip(seen, weights, strict=True):
        found += (np.exp(weight) / len(seen)) * log_probability
    if biases:
        if len(biases) != found.shape[1]:
            raise PolicyError(
                f"this ensemble is for {len(biases)} classes, got logits of {found.shape[1]}; fit it anew"
            )
        found += np.asarray(biases)
    found -= found.max(axis=1, keepdims=True)
    return found.astype(np.float32)


def ensembled(
    table: ExitTable, weights: tuple[tuple[float, ...], ...], biases: tuple[tuple[float, ...], ...]
) -> ExitTable:
    """The table with the ensemble of the exits up to each one in the place of its own logits."""
    seen = tuple(log_probabilities(table.logits[:, k]) for k in range(table.num_exits))
    logits = [together(seen[: k + 1], weights[k], biases[k]) for k in range(table.num_exits)]
    return replace(table, logits=np.stack(logits, axis=1))

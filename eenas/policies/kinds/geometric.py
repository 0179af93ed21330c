"""The geometric ensemble: at each exit, the exits so far decide and answer together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural
from eenas.policies.exit_table import ExitTable
from eenas.policies.policy import Policy, same_samples
from eenas.policies.values import numbers_of

LOWEST_LOG_PROBABILITY = -1e4
"""The lower bound of log-probabilities. It keeps products of exits finite."""


@dataclass(frozen=True, eq=False)
class EnsembleState:
    """The state of n samples: that of the wrapped policy, and the log-probabilities [n, C] of each exit so far."""

    inner: Any
    seen: tuple[NDArray[np.float64], ...]
    samples: int

    def __len__(self) -> int:
        """The number of samples."""
        return self.samples

    def __getitem__(self, mask: NDArray[np.bool_]) -> EnsembleState:
        """Return the state of the samples in `mask`."""
        return EnsembleState(self.inner[mask], tuple(each[mask] for each in self.seen), int(mask.sum()))


@dataclass(frozen=True, kw_only=True)
class GeometricPolicy(Policy):
    """A policy for K exits, applied to products of exits (Zero Time Waste, Wołczyk et al. 2021, section 3.2).

    At exit k the wrapped `policy` gets the logits of the weighted geometric mean
    q_k = softmax(1/(k+1) sum_{j<=k} exp(w_kj) log p_j + b_k) of p_j = softmax(logits of exit j). Row k of `weights`
    holds w_k0..w_kk. Row k of `biases` holds b_k, one per class, or is empty for zeros. The costs of the exits do not
    change; those of the sums over classes are negligible. Raises PolicyError for counts that do not match and numbers
    out of range.
    """

    kind: ClassVar[str] = "geometric"

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[tuple[float, ...], ...]
    policy: Policy

    def __post_init__(self) -> None:
        """Convert to plain floats and check that weights and biases match the policy."""
        weights, biases = numbers_of("weights of exits", self.weights), numbers_of("biases of exits", self.biases)
        exits = self.policy.num_exits
        if [len(row) for row in weights] != list(range(1, exits + 1)):
            raise PolicyError(f"{exits} exits need 1 to {exits} weights, got {[len(row) for row in weights]}")
        if len(biases) != exits or len({len(row) for row in biases}) != 1:
            lengths = [len(row) for row in biases]
            raise PolicyError(f"{exits} exits need {exits} rows of biases of equal length, got lengths {lengths}")
        if max(abs(value) for row in weights for value in row) > 20:
            raise PolicyError("weights of exits must be logarithms in [-20, 20], got a larger one; fit them again")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def num_exits(self) -> int:
        """The number of exits K, the final one included."""
        return self.policy.num_exits

    @property
    def last_reachable(self) -> int:
        """That of the wrapped policy."""
        return self.policy.last_reachable

    @property
    def within_budget(self) -> bool:
        """That of the wrapped policy."""
        return self.policy.within_budget

    def start(self, n: int) -> EnsembleState:
        """Return the state of n samples before the first exit."""
        return EnsembleState(self.policy.start(n), (), n)

    def decide(self, k: int, logits: NDArray[Any], state: EnsembleState) -> tuple[NDArray[np.bool_], EnsembleState]:
        """Return which of n samples leave at exit k, [n], and the next state, from its logits [n, C] and the state."""
        same_samples(logits, state)
        seen = (*state.seen, log_probabilities(logits))
        leaving, inner = self.policy.decide(k, self._ensemble_logits(k, seen), state.inner)
        return leaving, EnsembleState(inner, seen, state.samples)

    def answer(self, state: EnsembleState) -> NDArray[np.int64]:
        """Return the classes [n] that the wrapped policy answers."""
        return self.policy.answer(state.inner)

    def near(self, k: int, logits: NDArray[Any], state: EnsembleState) -> NDArray[np.bool_]:
        """Return `near` of the wrapped policy on the logits of the ensemble."""
        return self.policy.near(k, self._ensemble_logits(k, (*state.seen, log_probabilities(logits))), state.inner)

    def view(self, table: ExitTable) -> ExitTable:
        """Return the table on which the wrapped policy decides as this one does on `table`."""
        return ensembled(table, self.weights, self.biases)

    def label(self) -> str:
        """Return the label of the wrapped policy, followed by "exits together"."""
        return f"{self.policy.label()}; exits together"

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        values = {"weights": [list(row) for row in self.weights], "biases": [list(row) for row in self.biases]}
        return {"kind": self.kind, **values, "policy": self.policy.to_table()}

    def _ensemble_logits(self, k: int, seen: tuple[NDArray[np.float64], ...]) -> NDArray[np.float32]:
        return ensemble_logits(seen, self.weights[k], self.biases[k])


def log_probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the log-probabilities [n, C] of logits [n, C]; zeros for a row that is not finite.

    They are at least LOWEST_LOG_PROBABILITY and are computed row by row in float64. A sample has bitwise the same ones
    in an exit table and in any batch.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        below = np.array(logits.astype(np.float32), dtype=np.float64, order="C")
        below -= below.max(axis=1, keepdims=True)
        below -= np.log(np.exp(below).sum(axis=1, keepdims=True))
        below[~np.isfinite(below).all(axis=1)] = 0.0
    return np.maximum(below, LOWEST_LOG_PROBABILITY, out=below)


def ensemble_logits(
    seen: tuple[NDArray[np.float64], ...], weights: tuple[float, ...], biases: tuple[float, ...]
) -> NDArray[np.float32]:
    """Return the logits [n, C] of the ensemble from the log-probabilities of its exits. Each row has the maximum 0."""
    found = np.zeros_like(seen[0])
    for log_probability, weight in zip(seen, weights, strict=True):
        found += (np.exp(weight) / len(seen)) * log_probability
    if biases:
        if len(biases) != found.shape[1]:
            raise PolicyError(
                f"this ensemble is for {plural(len(biases), 'class', 'classes')}, got logits of {found.shape[1]}; "
                "fit it again"
            )
        found += np.asarray(biases)
    found -= found.max(axis=1, keepdims=True)
    return found.astype(np.float32)


def ensembled(
    table: ExitTable, weights: tuple[tuple[float, ...], ...], biases: tuple[tuple[float, ...], ...]
) -> ExitTable:
    """Return the table with the logits of each exit replaced by the ensemble of the exits up to it."""
    seen = tuple(log_probabilities(table.logits[:, k]) for k in range(table.num_exits))
    logits = [ensemble_logits(seen[: k + 1], weights[k], biases[k]) for k in range(table.num_exits)]
    return replace(table, logits=np.stack(logits, axis=1))

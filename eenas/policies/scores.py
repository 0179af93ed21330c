"""Confidence scores of an exit: maximum softmax, normalised entropy and margin, all in [0, 1], higher is surer."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened

_BLOCK = 2**17
"""Logits scored at a time: a block of float64 and its temporaries stay in a processor's cache."""

_FEW = 64
"""So few logits are scored number by number: calling NumPy takes longer than that."""

_SAME = 1e-9
"""Scores of float64 that were added up in another order differ by far less."""


def _max_softmax(below: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest probability (Hendrycks and Gimpel 2017)."""
    return np.asarray(1.0 / np.exp(below).sum(axis=1))


def _entropy(below: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - H / ln C with H the entropy in nats (BranchyNet's measure, Teerapittayanon et al. 2016, normalised)."""
    weight = np.exp(below)
    total = weight.sum(axis=1)
    weight *= below
    return np.asarray(1.0 - (np.log(total) - weight.sum(axis=1) / total) / np.log(below.shape[1]))


def _margin(below: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest probability less the second largest."""
    second = np.partition(below, below.shape[1] - 2, axis=1)[:, -2]
    return np.asarray(-np.expm1(second) / np.exp(below).sum(axis=1))


SCORES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "max_softmax": _max_softmax,
    "entropy": _entropy,
    "margin": _margin,
}
"""Every kind of score by name; each takes tempered logits less their row's maximum, float64 [n, C]."""


def _quick_entropy(below: list[float]) -> float:
    weights = [math.exp(value) for value in below]
    total = sum(weights)
    mean = float(sum(map(operator.mul, weights, below))) / total
    return 1.0 - (math.log(total) - mean) / math.log(len(below))


_QUICK: dict[str, Callable[[list[float]], float]] = {
    "max_softmax": lambda below: 1.0 / sum(map(math.exp, below)),
    "entropy": _quick_entropy,
    "margin": lambda below: -math.expm1(sorted(below)[-2]) / sum(map(math.exp, below)),
}
"""The same scores of one row of numbers."""


def check_score(kind: str) -> None:
    """Raise PolicyError when `kind` is not the name of a score."""
    if kind not in SCORES:
        raise PolicyError(f"unknown score {shortened(kind)}; {nearest(kind, SCORES)}")


def score(logits: NDArray[Any], temperature: float = 1.0, kind: str = "max_softmax") -> NDArray[np.float64]:
    """Scores [N] of logits [N, C], C >= 2, divided by `temperature` first (Guo et al. 2017).

    Logits are taken as float32 and the rest is computed in float64, row by row: a sample has the same score in an
    exit table and alone in a batch, bit for bit. A row that is not finite has the score 0, so it never leaves early
    by its confidence. Raises PolicyError for another shape, an unknown kind or a temperature that is not positive.
    """
    check_score(kind)
    if not 0 < temperature < np.inf:
        raise PolicyError(f"a temperature must be positive and finite, got {temperature}")
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise PolicyError(f"logits to score must be [samples, classes] with two classes or more, got {logits.shape}")
    rows = max(1, _BLOCK // logits.shape[1])
    result = np.empty(logits.shape[0], dtype=np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, logits.shape[0], rows):
            below = np.array(logits[start : start + rows].astype(np.float32), dtype=np.float64, order="C")
            finite = np.isfinite(below).all(axis=1)  # of the logits: a score may be a number where they are not
            below -= below.max(axis=1, keepdims=True)
            below /= temperature
            result[start : start + rows] = np.where(finite, SCORES[kind](below), 0.0)
    return np.clip(result, 0.0, 1.0, out=result)


def reaches(logits: NDArray[Any], temperature: float, kind: str, threshold: float) -> NDArray[np.bool_]:
    """Which of the rows of logits [N, C] have a `score` of at least the threshold, [N]: quickly where they are few.

    It is `score(...) >= threshold` to the last bit. Raises PolicyError as `score` does.
    """
    if logits.size <= _FEW and logits.dtype == np.float32 and logits.ndim == 2 and logits.shape[1] > 1:
        quick, found = _QUICK[kind], []
        for row in logits.tolist():
            if not math.isfinite(sum(row)):
                break
            largest = max(row)
            value = quick([(one - largest) / temperature for one in row])
            if abs(value - threshold) <= _SAME:
                break  # what is not finite, and what is close, is scored exactly
            found.append(value > threshold)
        else:
            return np.array(found, dtype=np.bool_)
    return score(logits, temperature, kind) >= threshold


def branch_scores(
    logits: NDArray[Any], temperatures: Sequence[float] | NDArray[np.float64], kind: str = "max_softmax"
) -> NDArray[np.float64]:
    """Scores [N, K - 1] of every exit but the final one, which nobody passes, from logits [N, K, C]."""
    if len(temperatures) != logits.shape[1]:
        raise PolicyError(f"{logits.shape[1]} exits need as many temperatures, got {len(temperatures)}")
    check_score(kind)
    result = np.empty((logits.shape[0], logits.shape[1] - 1), dtype=np.float64)
    for k in range(logits.shape[1] - 1):
        result[:, k] = score(logits[:, k], float(temperatures[k]), kind)
    return result

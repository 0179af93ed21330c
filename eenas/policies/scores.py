"""Confidence scores of an exit: maximum softmax, normalised entropy and margin, in [0, 1], higher is more confident."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, nearest
from eenas.escaping import shortened

_BLOCK = 2**17
"""The number of logits scored at a time. A float64 block and its temporaries fit in the processor's cache."""

_FEW = 64
"""Up to this many logits are scored in plain Python, which is faster than calling NumPy."""

_SAME = 1e-9
"""A bound on the difference of float64 scores that were summed in another order."""


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
    """The largest probability minus the second largest."""
    second = np.partition(below, below.shape[1] - 2, axis=1)[:, -2]
    return np.asarray(-np.expm1(second) / np.exp(below).sum(axis=1))


SCORES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "max_softmax": _max_softmax,
    "entropy": _entropy,
    "margin": _margin,
}
"""The scores by name. Each takes float64 [n, C]: temperature-scaled logits minus the maximum of their row."""


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
"""The same scores for one row of numbers."""


def check_score(kind: str) -> None:
    """Raise PolicyError if `kind` is not the name of a score."""
    if kind not in SCORES:
        raise PolicyError(f"unknown score {shortened(kind)}; {nearest(kind, SCORES)}")


def score(logits: NDArray[Any], temperature: float = 1.0, kind: str = "max_softmax") -> NDArray[np.float64]:
    """Return the scores [N] of logits [N, C], C >= 2, divided by `temperature` first (Guo et al. 2017).

    Logits are converted to float32 and scored in float64, row by row. A sample has bitwise the same score in an exit
    table and in any batch. A row that is not finite has the score 0 and reaches no threshold above 0. Raises
    PolicyError for another shape, an unknown kind, or a temperature that is not positive and finite.
    """
    check_score(kind)
    if not 0 < temperature < np.inf:
        raise PolicyError(f"a temperature must be positive and finite, got {temperature}")
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise PolicyError(f"logits must be [samples, classes] with at least two classes, got {logits.shape}")
    rows = max(1, _BLOCK // logits.shape[1])
    result = np.empty(logits.shape[0], dtype=np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, logits.shape[0], rows):
            below = np.array(logits[start : start + rows].astype(np.float32), dtype=np.float64, order="C")
            finite = np.isfinite(below).all(axis=1)  # checked on the logits: a score may be finite where they are not
            below -= below.max(axis=1, keepdims=True)
            below /= temperature
            result[start : start + rows] = np.where(finite, SCORES[kind](below), 0.0)
    return np.clip(result, 0.0, 1.0, out=result)


def reaches(logits: NDArray[Any], temperature: float, kind: str, threshold: float) -> NDArray[np.bool_]:
    """Return `score(...) >= threshold`, [N], for logits [N, C]. It is faster than `score` for few logits.

    The result is exactly the same. Raises PolicyError as `score` does.
    """
    if logits.size <= _FEW and logits.dtype == np.float32 and logits.ndim == 2 and logits.shape[1] > 1:
        quick, found = _QUICK[kind], []
        for row in logits.tolist():
            if not math.isfinite(sum(row)):
                break
            largest = max(row)
            value = quick([(one - largest) / temperature for one in row])
            if abs(value - threshold) <= _SAME:
                break  # a row that is not finite or close to the threshold is scored by NumPy
            found.append(value > threshold)
        else:
            return np.array(found, dtype=np.bool_)
    return score(logits, temperature, kind) >= threshold


def confident_classes(logits: NDArray[Any], temperature: float) -> tuple[list[float], list[int]]:
    """Return the largest probability and its class for each row of logits [N, C], as plain numbers.

    The probabilities are those of `score`, up to rounding. It is faster for few logits.
    """
    if not (logits.size <= _FEW and logits.dtype == np.float32 and logits.ndim == 2 and logits.shape[1] > 1):
        return score(logits, temperature).tolist(), logits.argmax(axis=1).tolist()
    values, classes = [], []
    for row in logits.tolist():
        largest = max(row)
        classes.append(row.index(largest) if largest == largest else 0)
        total = sum([math.exp((one - largest) / temperature) for one in row]) if math.isfinite(sum(row)) else math.inf
        values.append(1.0 / total)
    return values, classes


def branch_scores(
    logits: NDArray[Any], temperatures: Sequence[float] | NDArray[np.float64], kind: str = "max_softmax"
) -> NDArray[np.float64]:
    """Return the scores [N, K - 1] of every exit except the final one, from logits [N, K, C]."""
    if len(temperatures) != logits.shape[1]:
        raise PolicyError(f"a temperature is needed for each of {logits.shape[1]} exits, got {len(temperatures)}")
    check_score(kind)
    result = np.empty((logits.shape[0], logits.shape[1] - 1), dtype=np.float64)
    for k in range(logits.shape[1] - 1):
        result[:, k] = score(logits[:, k], float(temperatures[k]), kind)
    return result

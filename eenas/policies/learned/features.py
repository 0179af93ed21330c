"""The features of a sample at an exit that learned policies decide from: confidences, agreement, and the exit."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEATURES = ("max_softmax", "margin", "entropy", "agreement", "previous", "exit", "sharp_entropy")
"""The features by position, all in [0, 1].

The three scores of the exit (`eenas.policies.scores`) at its temperature; the share of earlier exits with the same
answer; the largest probability at the previous exit; the exit's place, k / K; and the entropy score of the squared and
normalised probabilities. Agreement and the previous probability are 0 at the first exit.
"""

AGREEMENT, PREVIOUS, EXIT, SHARP = 3, 4, 5, 6
SMOOTH = (0, 1, 2, PREVIOUS, SHARP)
"""The features that change continuously with the logits."""

_ROWS = 2**14

_FEW_CLASSES = 24


def confidence_features(logits: NDArray[Any], temperature: float, *, sharp: bool) -> NDArray[np.float64]:
    """Return the three scores, and with `sharp` the entropy score of squared probabilities, of logits [n, C], [n, 3+].

    They are computed in float64 from float32 logits, row by row: a sample has bitwise the same ones in an exit table
    and in any batch. A row that is not finite has zeros.
    """
    found = np.empty((len(logits), 4 if sharp else 3), dtype=np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, len(logits), _ROWS):
            below = np.array(logits[start : start + _ROWS].astype(np.float32), dtype=np.float64, order="C")
            finite = np.isfinite(below).all(axis=1)
            below -= below.max(axis=1, keepdims=True)
            below /= temperature
            part = found[start : start + _ROWS]
            weight = np.exp(below)
            total = weight.sum(axis=1)
            second = np.partition(below, below.shape[1] - 2, axis=1)[:, -2]
            part[:, 0] = 1.0 / total
            part[:, 1] = -np.expm1(second) / total
            part[:, 2] = _entropy_score(weight, below, total)
            if sharp:
                below *= 2.0
                weight = np.exp(below)
                part[:, 3] = _entropy_score(weight, below, weight.sum(axis=1))
            part[~finite] = 0.0
    return np.clip(found, 0.0, 1.0, out=found)


def quick_features(row: NDArray[np.float32], temperature: float, *, sharp: bool) -> list[float] | None:
    """Return `confidence_features` of one row [C], up to rounding, or None if a number is not finite.

    It is several times faster for a single sample: plain Python for few classes, vectors for many.
    """
    sums = _list_sums if len(row) <= _FEW_CLASSES else _vector_sums
    if (found := sums(row, temperature, sharp)) is None:
        return None
    second, *pairs = found
    nats = math.log(len(row))
    entropies = [1.0 - (math.log(total) - mean / total) / nats for total, mean in pairs]
    total = pairs[0][0]
    return [1.0 / total, -math.expm1(second) / total, *(min(max(value, 0.0), 1.0) for value in entropies)]


def _list_sums(row: NDArray[np.float32], temperature: float, sharp: bool) -> tuple[Any, ...] | None:
    """Return the second largest logit below the largest, then pairs of the sums of exp(z) and of z exp(z)."""
    values = row.tolist()
    if not math.isfinite(sum(values)):
        return None
    largest = max(values)
    below = [(value - largest) / temperature for value in values]
    weights = [math.exp(value) for value in below]
    first = (sum(weights), sum(map(operator.mul, weights, below)))
    if not sharp:
        return sorted(below)[-2], first
    squares = [value * value for value in weights]
    return sorted(below)[-2], first, (sum(squares), 2.0 * sum(map(operator.mul, squares, below)))


def _vector_sums(row: NDArray[np.float32], temperature: float, sharp: bool) -> tuple[Any, ...] | None:
    """Return what `_list_sums` returns."""
    below = row.astype(np.float64)
    largest = below.max()
    if not (math.isfinite(largest) and math.isfinite(below.min())):
        return None
    below -= largest
    below /= temperature
    weights = np.exp(below)
    second = float(np.partition(below, len(below) - 2)[-2])
    first = (float(weights.sum()), float(weights.dot(below)))
    if not sharp:
        return second, first
    weights *= weights
    return second, first, (float(weights.sum()), 2.0 * float(weights.dot(below)))


def table_features(
    logits: NDArray[np.float32], answers: NDArray[np.int64], temperatures: Sequence[float]
) -> NDArray[np.float64]:
    """Return the features of every sample at every exit except the final one, [N, K - 1, len(FEATURES)].

    `logits` [N, K, C] are those of a table and `answers` [N, K] its classes.
    """
    samples, exits = answers.shape
    found = np.zeros((samples, exits - 1, len(FEATURES)), dtype=np.float64)
    for k in range(exits - 1):
        scores = confidence_features(logits[:, k], temperatures[k], sharp=True)
        previous = found[:, k - 1, 0] if k else np.zeros(samples)
        found[:, k] = joined_features(k, exits, scores, agreement(answers[:, :k], answers[:, k]), previous)
    return found


def joined_features(
    k: int,
    exits: int,
    scores: NDArray[np.float64],
    agreeing: NDArray[np.float64],
    previous: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the features [n, len(FEATURES)] at exit k from its scores [n, 3 or 4] and the two of earlier exits [n]."""
    found = np.zeros((len(scores), len(FEATURES)), dtype=np.float64)
    found[:, :AGREEMENT] = scores[:, :AGREEMENT]
    found[:, AGREEMENT], found[:, PREVIOUS], found[:, EXIT] = agreeing, previous, k / exits
    if scores.shape[1] > AGREEMENT:
        found[:, SHARP] = scores[:, AGREEMENT]
    return found


def agreement(earlier: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
    """Return the share [n] of the earlier exits' classes [n, k] that equal the classes `answers` [n]; 0 for k = 0."""
    count = earlier.shape[1]
    if count == 0:
        return np.zeros(len(answers))
    return np.asarray((earlier == answers[:, None]).sum(axis=1) / count, dtype=np.float64)


def _entropy_score(
    weight: NDArray[np.float64], below: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 1 - H / ln C for unnormalised probabilities `weight` [n, C] = exp(`below`) with the sums `total` [n]."""
    nats = np.log(total) - (weight * below).sum(axis=1) / total
    return np.asarray(1.0 - nats / np.log(below.shape[1]))

"""Exact tests for the difference of two shares of correct answers."""

import math

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError


def largest_share(labels: NDArray[np.int64]) -> float:
    """Return the accuracy of always answering the most frequent class of `labels` [N]."""
    if len(labels) == 0:
        raise PolicyError("the share of the largest class needs at least one label, got none")
    return float(np.bincount(labels).max() / len(labels))


def above_chance(right: int, samples: int, chance: float) -> float:
    """Return the binomial probability of at least `right` correct answers in `samples`, each with chance `chance`."""
    _check(right, samples)
    if not 0 < chance < 1:
        return 1.0 if right == 0 or chance >= 1 else 0.0
    log_hit, log_miss = math.log(chance), math.log1p(-chance)
    terms = [_log_choose(samples, k) + k * log_hit + (samples - k) * log_miss for k in range(right, samples + 1)]
    return min(1.0, math.fsum(map(math.exp, terms)))


def higher(right_a: int, samples_a: int, right_b: int, samples_b: int) -> float:
    """Return the p-value that share a is higher than share b, by the one-sided exact test (Fisher 1935).

    The null hypothesis is equal shares. The samples of a and b are independent; for two classifiers on the same
    samples see `right_more_often`.
    """
    _check(right_a, samples_a)
    _check(right_b, samples_b)
    right, total = right_a + right_b, samples_a + samples_b
    most = min(right, samples_a)
    every = _log_choose(total, right)
    terms = (_log_choose(samples_a, k) + _log_choose(samples_b, right - k) - every for k in range(right_a, most + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


def right_more_often(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> float:
    """Return the p-value that a is more accurate than b on the same [N] samples, by the one-sided sign test.

    Only samples that exactly one of them classifies correctly count (McNemar 1947, exact form). The p-value is 1 if
    there are none.
    """
    if correct_a.shape != correct_b.shape:
        raise PolicyError(f"both lists must be of the same samples, got {correct_a.shape} and {correct_b.shape}")
    for_a, for_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    return above_chance(for_a, for_a + for_b, 0.5) if for_a + for_b else 1.0


def _check(right: int, samples: int) -> None:
    if not 0 <= right <= samples or samples < 1:
        raise PolicyError(f"correct answers must be from 0 to the number of samples, got {right} of {samples}")


def _log_choose(n: int, k: int) -> float:
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

"""Shares of right answers compared: exact tests of whether a difference is more than chance."""

import math

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError


def largest_share(labels: NDArray[np.int64]) -> float:
    """The accuracy of always answering the most frequent class of `labels` [N]."""
    if len(labels) == 0:
        raise PolicyError("the share of the largest class needs a sample, got none")
    return float(np.bincount(labels).max() / len(labels))


def above_chance(right: int, samples: int, chance: float) -> float:
    """The probability of `right` or more right answers of `samples` where each is right with `chance` (binomial)."""
    _check(right, samples)
    if not 0 < chance < 1:
        return 1.0 if right == 0 or chance >= 1 else 0.0
    log_hit, log_miss = math.log(chance), math.log1p(-chance)
    terms = [_log_choose(samples, k) + k * log_hit + (samples - k) * log_miss for k in range(right, samples + 1)]
    return min(1.0, math.fsum(map(math.exp, terms)))


def higher(right_a: int, samples_a: int, right_b: int, samples_b: int) -> float:
    """How likely a share of a so far above that of b is where both are alike (one-sided exact test of Fisher 1935).

    The samples of a and b are different ones; for two classifiers on the same samples see `right_more_often`.
    """
    _check(right_a, samples_a)
    _check(right_b, samples_b)
    right, total = right_a + right_b, samples_a + samples_b
    most = min(right, samples_a)
    every = _log_choose(total, right)
    terms = (_log_choose(samples_a, k) + _log_choose(samples_b, right - k) - every for k in range(right_a, most + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


def right_more_often(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> float:
    """How likely a is ahead of b by so much on the same [N] samples where both are alike (one-sided sign test).

    Only samples on which one of them is right count (McNemar 1947, exact form). 1 where there are none.
    """
    if correct_a.shape != correct_b.shape:
        raise PolicyError(f"two lists of the same samples are compared, got {correct_a.shape} and {correct_b.shape}")
    for_a, for_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    return above_chance(for_a, for_a + for_b, 0.5) if for_a + for_b else 1.0


def _check(right: int, samples: int) -> None:
    if not 0 <= right <= samples or samples < 1:
        raise PolicyError(f"right answers must be 0 to the number of samples, got {right} of {samples}")


def _log_choose(n: int, k: int) -> float:
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

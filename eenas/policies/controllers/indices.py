"""The indices of bandits: how promising each arm is, from its number of plays, and the mean and squares of rewards."""

import math
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import add, truediv
from random import Random
from statistics import NormalDist

Plays = Sequence[float]
Index = Callable[[Plays, Plays, Plays, float, float, Random], list[float]]
"""`index(plays, means, squares, rounds, scale, random)` returns one number per arm; every arm was played."""

_NORMAL = NormalDist()
_PRIOR_VARIANCE = 0.05
"""The variance of rewards before the first sample, with the weight of one (two for Bayes-UCB)."""


def _ucb1(plays: Plays, means: Plays, squares: Plays, rounds: float, scale: float, random: Random) -> list[float]:
    """Mean + scale * sqrt(ln t / n) (Auer et al. 2002; their UCB1 has the scale sqrt 2)."""
    bonus = scale * math.sqrt(math.log(max(rounds, 1.0)))
    return list(map(add, means, map(truediv, repeat(bonus), map(math.sqrt, plays))))


def _ucb_v(plays: Plays, means: Plays, squares: Plays, rounds: float, scale: float, random: Random) -> list[float]:
    """Mean + scale * (sqrt(2 V ln t / n) + 3 ln t / n), for rewards of range 1 (Audibert et al. 2009)."""
    log, found = math.log(max(rounds, 1.0)), []
    for n, mean, square in zip(plays, means, squares, strict=True):
        found.append(mean + scale * (math.sqrt(2 * max(square / n - mean * mean, 0.0) * log / n) + 3 * log / n))
    return found


def _ucb_tuned(plays: Plays, means: Plays, squares: Plays, rounds: float, scale: float, random: Random) -> list[float]:
    """Mean + scale * sqrt(ln t / n * min(1/4, V + sqrt(2 ln t / n))) (Auer et al. 2002, section 4)."""
    log, found = math.log(max(rounds, 1.0)), []
    for n, mean, square in zip(plays, means, squares, strict=True):
        each = log / n
        spread = max(square / n - mean * mean, 0.0) + math.sqrt(2 * each)
        found.append(mean + scale * math.sqrt(each * min(0.25, spread)))
    return found


def _bayes_ucb(plays: Plays, means: Plays, squares: Plays, rounds: float, scale: float, random: Random) -> list[float]:
    """The quantile 1 - 1 / (t ln t) of the posterior mean under a Normal-Gamma prior (Kaufmann et al. 2012).

    The quantile of Student's t follows from the normal one by the expansion of Abramowitz and Stegun, 26.7.5. `scale`
    multiplies its distance from the mean.
    """
    t = max(rounds, 2.0)
    z = -_NORMAL.inv_cdf(1 / (t * max(math.log(t), 1.0)))  # by symmetry: 1 - 1e-17 would be 1
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    found = []
    for n, mean, square in zip(plays, means, squares, strict=True):
        freedom, drawn = n + 2.0, mean * n / (n + 1.0)
        rest = 2 * _PRIOR_VARIANCE + max(square - drawn * mean * n, 0.0)
        quantile = z + first / freedom + second / (freedom * freedom)
        found.append(drawn + scale * quantile * math.sqrt(rest / (freedom * (n + 1.0))))
    return found


def _thompson(plays: Plays, means: Plays, squares: Plays, rounds: float, scale: float, random: Random) -> list[float]:
    """A draw from N(mean, scale^2 V / n) for each arm (Thompson 1933; Gaussian as in Agrawal and Goyal 2013).

    V is the variance of the rewards, with the prior one as a further sample.
    """
    normal, uniform, root = _NORMAL.inv_cdf, random.random, math.sqrt  # twice as fast as `random.gauss`
    return [
        mean + scale * root(max(square - n * mean * mean, 0.0) + _PRIOR_VARIANCE) / n * normal(uniform() or 0.5)
        for n, mean, square in zip(plays, means, squares, strict=True)
    ]


INDICES: dict[str, Index] = {
    "ucb1": _ucb1,
    "ucb_v": _ucb_v,
    "ucb_tuned": _ucb_tuned,
    "bayes_ucb": _bayes_ucb,
    "thompson": _thompson,
}
"""The indices by name."""

"""P-values of the hypothesis that a mean loss exceeds a bound; NumPy only, valid for any number of samples."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eenas.errors import PolicyError
from eenas.policies.risk.guarantee import check_level

_ROUNDING = 1e-9  # of sums of losses


def binomial_p_value(losses: ArrayLike, max_risk: float) -> float:
    """Return P[Bin(n, max_risk) <= sum of `losses`], for losses [n] that are 0 or 1 (Clopper and Pearson 1934).

    The test is exact: no other valid test of a sum of such losses has a smaller p-value. Raises PolicyError for other
    losses.
    """
    found = _losses(losses, max_risk)
    if not np.isin(found, (0.0, 1.0)).all():
        raise PolicyError("the binomial test needs losses of 0 or 1; use the betting bound for others")
    return binomial_tail(len(found), max_risk, int(found.sum()))


def hoeffding_bentkus_p_value(losses: ArrayLike, max_risk: float) -> float:
    """Return the Hoeffding-Bentkus p-value for losses [n] in [0, 1] (Bates et al. 2021, section 3.1.3).

    It is the smaller of Hoeffding's exp(-n kl(min(mean, r), r)) and Bentkus's e P[Bin(n, r) <= ceil(sum)], for the
    bound r = `max_risk`, and at most 1.
    """
    found = _losses(losses, max_risk)
    samples, total = len(found), float(found.sum())
    mean = min(total / samples, max_risk)
    hoeffding = math.exp(-samples * _divergence(mean, max_risk))
    bentkus = math.e * binomial_tail(samples, max_risk, math.ceil(total - _ROUNDING))
    return min(hoeffding, bentkus, 1.0)


def betting_p_value(losses: ArrayLike, max_risk: float, *, error: float = 0.05) -> float:
    """Return the betting p-value for losses [n] in [0, 1] (Waudby-Smith and Ramdas 2024, section 4).

    A gambler starts with the capital 1 and stakes a predictable share on each loss being below r = `max_risk`:
    K_t = prod_{i<=t} (1 - s_i (l_i - r)). If the mean loss exceeds r, the capital cannot be expected to grow, and
    1 / max_t K_t is a p-value by Ville's inequality. The stakes s_i = min(1, sqrt(2 ln(1 / error) / (n v_{i-1})))
    follow the variance v of the losses so far and suit decisions at the level `error`. The value depends on the order
    of the samples.
    """
    found = _losses(losses, max_risk)
    check_level("error", error)
    samples = len(found)
    counts = np.arange(1, samples + 1)
    mean = (0.5 + np.cumsum(found)) / (counts + 1)
    variance = (0.25 + np.cumsum((found - mean) ** 2)) / (counts + 1)
    before = np.append(0.25, variance[:-1])
    stake = np.minimum(1.0, np.sqrt(2 * math.log(1 / error) / (samples * before)))
    capital = np.cumsum(np.log1p(-stake * (found - max_risk)))
    return float(min(1.0, math.exp(-float(capital.max()))))


def binomial_tail(samples: int, share: float, most: int) -> float:
    """Return P[Bin(samples, share) <= most] for 0 < share < 1, summed in logarithms."""
    if most < 0:
        return 0.0
    if most >= samples:
        return 1.0
    counts = np.arange(1, most + 1)
    odds = math.log(share) - math.log1p(-share)
    terms = samples * math.log1p(-share) + np.append(
        0.0, np.cumsum(np.log(samples - counts + 1) - np.log(counts) + odds)
    )
    highest = float(terms.max())
    return min(1.0, math.exp(highest) * float(np.exp(terms - highest).sum()))


def least_samples(max_risk: float, confidence: float) -> int:
    """Return the smallest number of samples without a loss that certifies `max_risk`: ln(error) / ln(1 - max_risk)."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-max_risk) - _ROUNDING)


def _losses(losses: ArrayLike, max_risk: float) -> NDArray[np.float64]:
    """Return losses as float64. Raises PolicyError unless they are at least one number, all in [0, 1]."""
    check_level("max_risk", max_risk)
    found = np.asarray(losses, dtype=np.float64)
    if found.ndim != 1 or len(found) == 0 or not ((found >= 0) & (found <= 1)).all():
        raise PolicyError("a test needs a list of losses in [0, 1], got none, or NaN, or a value out of range")
    return found


def _divergence(mean: float, bound: float) -> float:
    """The Kullback-Leibler divergence of two Bernoulli distributions, in nats."""
    below = mean * math.log(mean / bound) if mean > 0 else 0.0
    above = (1 - mean) * math.log((1 - mean) / (1 - bound)) if mean < 1 else 0.0
    return max(0.0, below + above)

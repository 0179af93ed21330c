"""The paired bootstrap: confidence intervals of the difference of two policies on the same samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PolicyError, plural

COVERAGE = 0.95
"""The coverage of the interval: the share of the resampled differences inside it."""


def paired_bootstrap(
    correct_a: NDArray[Any], correct_b: NDArray[Any], *, rounds: int = 1000, seed: int
) -> tuple[float, float, float]:
    """Return mean(a) - mean(b) and the ends of its 95 % percentile interval (Efron and Tibshirani 1993, 13.3).

    `correct_a` and `correct_b` [N] say whether two policies are correct on the same N samples. They may also be costs
    (`costs_of_leaving`). Samples are drawn with replacement `rounds` times, with the values of both policies together.
    Raises PolicyError for different shapes, no samples, and values that are not finite.
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.ndim != 1 or a.shape != b.shape:
        raise PolicyError(f"a paired bootstrap needs two lists of the same samples, got {a.shape} and {b.shape}")
    if len(a) == 0 or rounds < 1:
        raise PolicyError(
            f"a paired bootstrap needs a sample and a round, got {plural(len(a), 'sample')} and {rounds} rounds"
        )
    differences = a.astype(np.float64) - b.astype(np.float64)
    if not np.isfinite(differences).all():
        raise PolicyError("a paired bootstrap needs finite values, got NaN or infinity")
    generator = np.random.default_rng(seed)
    means = np.empty(rounds, dtype=np.float64)
    for number in range(rounds):
        means[number] = differences[generator.integers(len(differences), size=len(differences))].mean()
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(differences.mean()), float(low), float(high)


def interval_of_counts(
    gained: int, lost: int, samples: int, *, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of `paired_bootstrap` for correct answers, computed from counts.

    Of `samples`, only the first policy is correct on `gained` and only the second on `lost`. Resampling samples draws
    these counts from a multinomial distribution. Both ends are accuracies. Raises PolicyError for inconsistent counts.
    """
    if min(gained, lost) < 0 or gained + lost > samples or samples < 1 or rounds < 1:
        raise PolicyError(f"a bootstrap of counts needs gained + lost <= samples, got {gained}, {lost} and {samples}")
    shares = np.array([gained, lost, samples - gained - lost], dtype=np.float64) / samples
    counts = np.random.default_rng(seed).multinomial(samples, shares / shares.sum(), size=rounds)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / samples, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def advantage(
    one: NDArray[np.bool_], other: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> tuple[float, float, float]:
    """Return the accuracy of `one` minus that of `other` on the same samples, and the ends of its 95 % interval.

    `one` and `other` [N] say where two policies are correct. `weights` [N] with mean 1 are the sample weights
    (`balanced_weights`); None weights all samples the same. Samples are drawn as in `interval_of_counts`, with a
    separate count for each weight.
    """
    if weights is None:
        gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
        return (gained - lost) / len(one), *interval_of_counts(gained, lost, len(one))
    values, counts = np.unique(weights * (one.astype(np.float64) - other), return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(one), counts / counts.sum(), size=1000)
    low, high = np.quantile(drawn @ values / len(one), [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(values @ counts) / len(one), float(low), float(high)


def costs_of_leaving(exit_index: NDArray[np.int64], costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of each sample, [N], from its exit `exit_index` [N] and the `costs` [K] of the exits."""
    return np.asarray(costs[exit_index], dtype=np.float64)

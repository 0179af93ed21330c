"""Linear classifiers in closed form: ridge regression on class indicators, with leave-one-out answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TrainingError

PENALTIES = tuple(float(each) for each in np.logspace(-3, 3, 13))
"""The penalties that are tried, per feature."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class RidgeClassifier:
    """`features @ weights.T + bias`: weights [C, F], bias [C], with the answers `left_out` [n, C] of leaving one out.

    `left_out` are the logits of each training sample from the other ones.
    """

    weights: Values
    bias: Values
    left_out: Values
    penalty: float


def fit_ridge(features: Values, labels: NDArray[np.int64], num_classes: int) -> RidgeClassifier:
    """Return the ridge classifier of features [n, F] and classes [n] with the least squared error of leaving one out.

    Targets are 1 for a sample's class and -1 for the others; features are standardised, and those that are constant do
    not count. The error of leaving one out needs no second fit (Hastie, Tibshirani and Friedman 2009, equation 7.64).
    Raises TrainingError for fewer than two samples.
    """
    n = len(features)
    if n < 2:
        raise TrainingError(f"a classifier needs at least two samples, got {n}; give more series")
    mean, spread = features.mean(axis=0), features.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0) / np.sqrt(max(int(varies.sum()), 1))
    x = (features - mean) * scale
    targets = np.where(labels[:, None] == np.arange(num_classes), 1.0, -1.0)
    middle = targets.mean(axis=0)
    y = targets - middle
    left, values, right = np.linalg.svd(x, full_matrices=False)
    squares, turned = values**2, left.T @ y
    best: tuple[float, float, Values] | None = None
    for penalty in PENALTIES:
        kept = squares / (squares + penalty)
        fitted = left @ (kept[:, None] * turned)
        leverage = np.minimum((left**2 * kept).sum(axis=1) + 1.0 / n, 1.0 - 1e-6)
        # centred targets and features hold the sample itself: 1 / n of the leverage
        answers = targets - (y - fitted) / (1.0 - leverage)[:, None]
        error = float(((targets - answers) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, penalty, answers)
    assert best is not None
    _, penalty, answers = best
    weights = (right.T @ ((values / (squares + penalty))[:, None] * turned)).T * scale
    return RidgeClassifier(weights=weights, bias=middle - weights @ mean, left_out=answers, penalty=penalty)

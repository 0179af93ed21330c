"""Backward regression: optimal stopping with the value of going on regressed from the last exit to the first."""

import numpy as np

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.training_data import TrainingData, Values, rounded

KNOTS = (0.0, 0.25, 0.5, 0.75)
"""The quantiles of a feature where the slope of its part of the regression may change."""
SHARPNESS = 8.0
"""The logit of a gate is the expected gain of stopping in accuracy, times this."""
RIDGE_OF_VALUES = 1e-4


def stopping_gains(features: Values, rewards: Values) -> list[tuple[Values, Values]]:
    """Return, for each exit, the knots and weights of the regressed gain of stopping there.

    Least squares Monte Carlo (Longstaff and Schwartz 2001), which is fitted Q-iteration for this problem of finite
    horizon: from the last branch back, the reward of stopping minus that of going on, which is realised under the
    decisions already fitted behind, is regressed on the features [N, E, F]. A sample stops where the fitted gain is
    positive. `rewards` [N, K] are those of leaving at each exit.
    """
    onward, found = rewards[:, -1], []
    for k in range(features.shape[1] - 1, -1, -1):
        knots = knots_of(features[:, k])
        basis = hinges(features[:, k], knots)
        weights = _regress(basis, rewards[:, k] - onward)
        found.append((knots, weights))
        gain = basis @ weights[:-1] + weights[-1]
        onward = np.where(gain >= 0, rewards[:, k], onward)
    return found[::-1]


def knots_of(x: Values) -> Values:
    """Return the knots of features [N, F] as rows of a feature's position and a value, [M, 2], each once."""
    pairs = {(i, float(value)) for i in range(x.shape[1]) for value in np.quantile(x[:, i], KNOTS)}
    return np.array([(i, value) for i, value in sorted(pairs) if value < x[:, i].max()] or [(0, 0.0)])


def hinges(x: Values, knots: Values) -> Values:
    """Return max(0, x_i - value) for each knot, [N, M]."""
    return np.maximum(x[:, knots[:, 0].astype(np.int64)] - knots[:, 1], 0.0)


def train_backward(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return gates for each price whose logit is SHARPNESS times the gain of stopping."""
    found, features = [], data.features.shape[2]
    for price in prices:
        first, last = [], []
        for knots, weights in stopping_gains(data.features, data.rewards(price)):
            units = np.zeros((len(knots), features + 1))
            units[np.arange(len(knots)), knots[:, 0].astype(np.int64)] = 1.0
            units[:, -1] = -knots[:, 1]
            first.append(rounded(units))
            last.append(rounded(SHARPNESS * weights))
        found.append((tuple(first), tuple(last)))
    return found


def _regress(basis: Values, target: Values) -> Values:
    """Return the weights [M] and the intercept of a ridge regression on standardised columns."""
    mean, spread = basis.mean(axis=0), basis.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    x = (basis - mean) / spread
    matrix = x.T @ x / len(x) + RIDGE_OF_VALUES * np.eye(x.shape[1])
    weights = np.linalg.solve(matrix, x.T @ (target - target.mean()) / len(x)) / spread
    return np.append(weights, target.mean() - weights @ mean)

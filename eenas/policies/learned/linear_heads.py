"""Linear gates: JEI-DNN's, towards the cheapest good exit, and BERxiT's shared head, which predicts wrong answers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eenas.policies.kinds.geometric_fit import minimise
from eenas.policies.learned.gate import Rows
from eenas.policies.learned.stop_nets import sigmoid
from eenas.policies.learned.training_data import TrainingData, Values, rounded

HEAVIEST = 5.0
"""The largest weight of samples that should stop, against those that should not."""
RIDGE_OF_HEADS = 1e-3


def cheapest_good_exit(likelihoods: Values, costs: Values, price: float) -> NDArray[np.int64]:
    """Return the exit [N] with the lowest cross-entropy plus `price` times its relative cost, the final one included.

    `likelihoods` [N, K] are log-probabilities of the true class (JEI-DNN, Regol et al. 2024, section 4). With a target
    of correctness in its place, gates hardly follow the price.
    """
    return np.asarray((price * costs - likelihoods).argmin(axis=1), dtype=np.int64)


def weighted_cross_entropy(
    x: Values, target: NDArray[np.bool_], positive: float
) -> Callable[[Values], tuple[float, Values]]:
    """Return the loss of a linear gate, weights [F] and bias, as a function that also returns its gradient.

    `x` [N, F] are features and `target` [N] says where to stop; these samples have the weight `positive`.
    """
    weights = np.where(target, positive, 1.0) / len(target)

    def loss(values: Values) -> tuple[float, Values]:
        logits = x @ values[:-1] + values[-1]
        residual = weights * (sigmoid(logits) - target)
        value = float((weights * (np.logaddexp(0.0, logits) - target * logits)).sum())
        gradient = np.append(x.T @ residual, residual.sum()) + RIDGE_OF_HEADS * values
        return value + 0.5 * RIDGE_OF_HEADS * float(values @ values), gradient

    return loss


def squared_error(x: Values, wrong: Values, weights: Values) -> Callable[[Values], tuple[float, Values]]:
    """Return the mean squared error of sigmoid(w · x + b) to `wrong` [N] as a function with its gradient."""

    def loss(values: Values) -> tuple[float, Values]:
        given = sigmoid(x @ values[:-1] + values[-1])
        residual = weights * (given - wrong) / len(wrong)
        slope = 2.0 * residual * given * (1.0 - given)
        gradient = np.append(x.T @ slope, slope.sum()) + RIDGE_OF_HEADS * values
        return float(residual @ (given - wrong)) + 0.5 * RIDGE_OF_HEADS * float(values @ values), gradient

    return loss


def train_towards_exit(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return JEI-DNN's gates for each price: every gate from the cheapest good exit on should stop."""
    x, (mean, spread), found = data.standardised, data.scaling, []
    for price in prices:
        best = cheapest_good_exit(data.likelihoods, data.costs, price)
        rows = []
        for k in range(x.shape[1]):
            target = best <= k
            positive = min(HEAVIEST, float((~target).sum()) / max(1, int(target.sum())))
            values = minimise(weighted_cross_entropy(x[:, k], target, positive), np.zeros(x.shape[2] + 1))
            rows.append(unscaled(values, mean[k], spread[k]))
        found.append(((() for _ in rows), rows))
    return [(tuple(first), tuple(last)) for first, last in found]


def train_wrongness(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return one head for all exits that predicts wrong answers (BERxiT, Xin et al. 2021); prices have no effect."""
    exits = data.features.shape[1]
    x = data.features.reshape(-1, data.features.shape[2])
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    wrong = (~data.table.correct()[:, :-1]).reshape(-1).astype(np.float64)
    loss = squared_error((x - mean) / spread, wrong, np.repeat(data.weights, exits))
    head = unscaled(-minimise(loss, np.zeros(x.shape[1] + 1)), mean, spread)
    return [(((),) * exits, (head,) * exits)]


def unscaled(values: Values, mean: Values, spread: Values) -> tuple[float, ...]:
    """Return weights and bias on features that are not standardised."""
    weights = values[:-1] / spread
    return rounded(np.append(weights, values[-1] - weights @ mean))

"""EENet's gates: the loss of the recursive mixture of the exits' probabilities and costs."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.stop_nets import Gradient, at_each_price, sigmoid
from eenas.policies.learned.training_data import TrainingData, Values

_LEAST = 1e-12


def mixture_loss(logits: Values, likely: Values, costs: Values, price: float) -> tuple[Values, Values]:
    """Return the loss [n] of each sample and its gradient [n, E] in the logits [n, E].

    With h = sigmoid(logits), the probabilities `likely` [n, K] of the true class and the `costs` [K], from the final
    exit back: P_k = h_k q_k + (1 - h_k) P_(k+1) and C_k = h_k c_k + (1 - h_k) C_(k+1). The loss is sum_k -log P_k +
    price C_k over all exits, which trains deep exits, too (EENet, Demir and Akbas 2019; the second version of the loss
    in its code).
    """
    h = sigmoid(logits)
    samples, exits = h.shape
    mixed = np.empty((samples, exits + 1))
    cost = np.empty((samples, exits + 1))
    mixed[:, -1], cost[:, -1] = likely[:, -1], costs[-1]
    for k in range(exits - 1, -1, -1):
        mixed[:, k] = h[:, k] * likely[:, k] + (1.0 - h[:, k]) * mixed[:, k + 1]
        cost[:, k] = h[:, k] * costs[k] + (1.0 - h[:, k]) * cost[:, k + 1]
    mixed = np.maximum(mixed, _LEAST)
    slope = np.empty_like(h)
    by_mixed, by_cost = np.zeros(samples), np.zeros(samples)
    for k in range(exits):
        by_mixed = by_mixed - 1.0 / mixed[:, k]
        by_cost = by_cost + price
        slope[:, k] = by_mixed * (likely[:, k] - mixed[:, k + 1]) + by_cost * (costs[k] - cost[:, k + 1])
        by_mixed, by_cost = by_mixed * (1.0 - h[:, k]), by_cost * (1.0 - h[:, k])
    loss = (price * cost - np.log(mixed)).sum(axis=1)
    return loss, slope * h * (1.0 - h)


def train_mixture(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return the gates for each price that minimise the loss of the mixture, with the exits fixed."""
    likely = np.maximum(np.exp(data.likelihoods), _LEAST)

    def gradient_at(price: float) -> Gradient:
        def gradient(logits: Values, rows: NDArray[np.int64], step: int) -> Values:
            slope = mixture_loss(logits, likely[rows], data.costs, price)[1]
            return slope * data.weights[rows, None] / len(rows)

        return gradient

    return at_each_price(data, prices, gradient_at, seed)

"""The exact policy gradient: the expected reward over all exits, without sampling, and its gradient."""

import numpy as np

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.stop_nets import Gradient, at_each_price, sigmoid
from eenas.policies.learned.training_data import TrainingData, Values


def expected_reward(logits: Values, rewards: Values) -> tuple[float, Values]:
    """Return the mean expected reward and its gradient [n, E] in the logits [n, E].

    A sample stops at exit k with the probability p_k = sigmoid(logit) if it gets there, and at the final exit, K = E +
    1, for certain: J = sum_k R_k p_k prod_{j<k} (1 - p_j) for the rewards R [n, K]. The gradient is exact (the policy
    gradient theorem, Sutton et al. 2000, with all actions summed).
    """
    p = sigmoid(logits)
    samples, exits = p.shape
    onward = np.empty_like(p)  # the expected reward behind each exit
    value = rewards[:, -1]
    for k in range(exits - 1, -1, -1):
        onward[:, k] = value
        value = p[:, k] * rewards[:, k] + (1.0 - p[:, k]) * value
    reached = np.concatenate([np.ones((samples, 1)), np.cumprod(1.0 - p[:, :-1], axis=1)], axis=1)
    slope = reached * (rewards[:, :-1] - onward) * p * (1.0 - p) / samples
    return float(value.mean()), slope


def train_policy_gradient(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return the gates for each price that maximise the expected reward on the data."""

    def gradient_at(price: float) -> Gradient:
        rewards = data.rewards(price)
        return lambda logits, rows, step: -expected_reward(logits, rewards[rows])[1]

    return at_each_price(data, prices, gradient_at, seed)

"""REINFORCE: gates trained on sampled stops with a moving baseline and a bonus for entropy."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.stop_nets import STEPS, Gradient, at_each_price, sigmoid
from eenas.policies.learned.training_data import TrainingData, Values

BASELINE, BONUS = 0.95, 0.01
"""The decay of the moving mean of rewards, and the first weight of the entropy, which falls to 0."""


def sampled_gradient(
    logits: Values, rewards: Values, draws: Values, *, baseline: float, bonus: float = 0.0
) -> tuple[Values, NDArray[np.int64]]:
    """Return the estimate [n, E] of the gradient of the mean reward in the logits, and the sampled exits [n].

    A sample stops at the first exit k whose draw, uniform in [0, 1), is below p_k. The estimate is the reward minus the
    `baseline`, times the gradient of the log-probability of the decisions up to that exit (Williams 1992). `bonus`
    times the gradient of the entropy of these decisions is added. `rewards` [n, K] are those of leaving at each exit.
    """
    p = sigmoid(logits)
    samples, exits = p.shape
    stops = np.concatenate([draws < p, np.ones((samples, 1), dtype=np.bool_)], axis=1)
    taken = stops.argmax(axis=1)
    position = np.arange(exits)
    advantage = rewards[np.arange(samples), taken] - baseline
    decided = position <= taken[:, None]
    slope = ((position == taken[:, None]) - p) * advantage[:, None] - bonus * logits * p * (1.0 - p)
    return slope * decided / samples, taken


def train_reinforce(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return the gates for each price, trained on sampled stops."""
    generator = np.random.default_rng((seed, 1))

    def gradient_at(price: float) -> Gradient:
        rewards = data.rewards(price)
        mean = float(rewards.mean())

        def gradient(logits: Values, rows: NDArray[np.int64], step: int) -> Values:
            nonlocal mean
            bonus = BONUS * max(0.0, 1.0 - step / STEPS)
            given, draws = rewards[rows], generator.random(logits.shape)
            slope, taken = sampled_gradient(logits, given, draws, baseline=mean, bonus=bonus)
            mean = BASELINE * mean + (1.0 - BASELINE) * float(given[np.arange(len(rows)), taken].mean())
            return -slope

        return gradient

    return at_each_price(data, prices, gradient_at, seed)

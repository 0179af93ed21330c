"""EARLIEST: one controller for all exits that halts at random while it is trained, with a learned baseline."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.linear_heads import unscaled
from eenas.policies.learned.stop_nets import CONTINUE, sigmoid
from eenas.policies.learned.training_data import TrainingData, Values

EPOCHS, BATCH = 400, 256
"""Steps of training at each price, and the samples of each."""
RATE, FALL = 0.05, 0.99
"""The learning rate, and its factor after each of 100 parts of the training."""
UNSURE = 0.05
"""The share of halting at random, where a draw explores."""
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


def halting_gradient(
    logits: Values, rewards: Values, draws: Values, baseline: Values, *, price: float, exploring: float = 0.0
) -> tuple[Values, NDArray[np.int64]]:
    """Return an estimate [n, E] of the gradient of what EARLIEST maximises in the logits, and the sampled exits [n].

    At exit k a sample halts with the probability q = (1 - e) p + UNSURE e for p = sigmoid(logit) and e = `exploring`,
    if its draw, uniform in [0, 1), is below; the final exit, K = E + 1, halts for certain. Every decision up to there
    has the reward [n, K] of that exit less the `baseline` [n, E] (REINFORCE, Williams 1992). `price` times the sum of
    log q over the exits up to there is added, which halts earlier (Hartvigsen et al. 2019, section 3).
    """
    p = sigmoid(logits)
    q = (1.0 - exploring) * p + UNSURE * exploring
    samples, exits = p.shape
    taken = np.concatenate([draws < q, np.ones((samples, 1), dtype=np.bool_)], axis=1).argmax(axis=1)
    position = np.arange(exits)
    halts, decided = position == taken[:, None], position <= taken[:, None]
    inner = (1.0 - exploring) * p * (1.0 - p)  # the slope of q in the logit
    of_halting = inner / np.maximum(q, _TINY)
    of_waiting = -inner / np.maximum(1.0 - q, _TINY)
    advantage = rewards[np.arange(samples), taken][:, None] - baseline
    slope = np.where(halts, of_halting, of_waiting) * advantage + price * of_halting
    return slope * decided / samples, taken


def train_earliest(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return one linear controller for all exits for each price, and with it for each exit the same gate.

    The reward of an exit is 1 if it is right and -1 if it is wrong. The baseline is a linear function of the same
    features, trained on squared error. A price is shared by the exits before the final one. Exploring falls from 1 to
    nothing.
    """
    exits, features = data.features.shape[1:]
    flat = data.features.reshape(-1, features)
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    x = np.concatenate([(data.features - mean) / spread, np.ones((*data.features.shape[:2], 1))], axis=2)
    rewards = (2.0 * data.table.correct() - 1.0) * data.weights[:, None]
    found = []
    for price in prices:
        generator = np.random.default_rng((seed, 2))
        weights = np.zeros((2, features + 1))  # of the controller, and of the baseline
        weights[0, -1] = CONTINUE
        mean_slope, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, EPOCHS + 1):
            rows = generator.integers(len(x), size=min(len(x), BATCH))
            given, draws = x[rows], generator.random((len(rows), exits))
            logits, baseline = given @ weights[0], given @ weights[1]
            exploring = float(np.exp(-7.0 * step / EPOCHS))
            slope, taken = halting_gradient(
                logits, rewards[rows], draws, baseline, price=price / exits, exploring=exploring
            )
            decided = np.arange(exits) <= taken[:, None]
            error = (rewards[rows, taken][:, None] - baseline) * decided / len(rows)
            total = np.stack([np.einsum("ne,nef->f", slope, given), np.einsum("ne,nef->f", error, given)])
            mean_slope += (1 - _FIRST) * (total - mean_slope)
            square += (1 - _SECOND) * (total * total - square)
            rate = RATE * FALL ** (100.0 * step / EPOCHS)
            weights += rate * (mean_slope / (1 - _FIRST**step)) / (np.sqrt(square / (1 - _SECOND**step)) + _TINY)
        head = unscaled(weights[0], mean, spread)
        found.append((((),) * exits, (head,) * exits))
    return found

"""The networks of all exits in training: one hidden layer each, their gradients, and Adam."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.training_data import TrainingData, Values, rounded

HIDDEN = 16
"""The number of hidden units of a gate."""
CONTINUE = -1.0
"""The first bias of the output: gates begin by letting samples go on."""
LEARNING_RATE, DECAY = 1e-2, 1e-4
STEPS = 300
"""Steps of training at each price."""
_MOST_ROWS, _LEAST_BATCH = 1536, 64
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8

Gradient = Callable[[Values, NDArray[np.int64], int], Values]
"""Returns the gradient of the loss in the logits [n, E], from these, the indices [n] of the samples, and the step."""


class StopNets:
    """E networks of F features with `hidden` ReLU units, as one vector of weights.

    The logit of network k is v_k · max(0, W_k x + b_k) + c_k. Weights begin as in He et al. 2015.
    """

    def __init__(self, exits: int, features: int, generator: np.random.Generator, hidden: int = HIDDEN) -> None:
        self.sizes = ((exits, features, hidden), (exits, 1, hidden), (exits, hidden, 1), (exits, 1, 1))
        parts = [np.zeros(size) for size in self.sizes]
        parts[0] += generator.normal(size=parts[0].shape) * np.sqrt(2.0 / features)
        parts[2] += generator.normal(size=parts[2].shape) * np.sqrt(1.0 / hidden) * 0.1
        parts[3] += CONTINUE
        self.values = np.concatenate([part.reshape(-1) for part in parts])

    def views(self, vector: Values) -> list[Values]:
        """Return the weights, biases, output weights and output biases in a vector, as views."""
        found, start = [], 0
        for size in self.sizes:
            count = int(np.prod(size))
            found.append(vector[start : start + count].reshape(size))
            start += count
        return found

    def forward(self, x: Values) -> tuple[Values, Values]:
        """Return the logits [n, E] and the hidden units [E, n, hidden] of features [E, n, F]."""
        first, biases, second, bias = self.views(self.values)
        hidden = np.maximum(np.matmul(x, first) + biases, 0.0)
        return (np.matmul(hidden, second) + bias)[:, :, 0].T, hidden

    def backward(self, x: Values, hidden: Values, slope: Values) -> Values:
        """Return the gradient in the weights from the gradient `slope` [n, E] in the logits."""
        found = np.empty_like(self.values)
        first, biases, second, bias = self.views(found)
        outer = np.ascontiguousarray(slope.T)[:, :, None]
        second[:] = np.matmul(hidden.transpose(0, 2, 1), outer)
        bias[:] = outer.sum(axis=1, keepdims=True)
        inner = outer * self.views(self.values)[2].transpose(0, 2, 1)
        inner *= hidden > 0
        first[:] = np.matmul(x.transpose(0, 2, 1), inner)
        biases[:] = inner.sum(axis=1, keepdims=True)
        return found

    def descend(self, x: Values, gradient: Gradient, steps: int, generator: np.random.Generator) -> None:
        """Take steps of Adam (Kingma and Ba 2015) with decoupled weight decay, on batches of the features [E, N, F].

        The rate falls to zero over the last half of the steps.
        """
        exits, samples = x.shape[:2]
        size = min(samples, max(_LEAST_BATCH, _MOST_ROWS // exits))
        mean, square = np.zeros_like(self.values), np.zeros_like(self.values)
        for step in range(1, steps + 1):
            rows = generator.integers(samples, size=size)
            given = x[:, rows]
            logits, hidden = self.forward(given)
            slope = self.backward(given, hidden, gradient(logits, rows, step))
            mean += (1 - _FIRST) * (slope - mean)
            square += (1 - _SECOND) * (slope * slope - square)
            rate = LEARNING_RATE * min(1.0, 2.0 * (1.0 - step / (steps + 1)))
            denominator = np.sqrt(square / (1 - _SECOND**step)) + _TINY
            self.values -= rate * (mean / (1 - _FIRST**step) / denominator + DECAY * self.values)

    def rows(self, data: TrainingData) -> tuple[Rows, Rows]:
        """Return the weights of gates on features that are not standardised."""
        first, biases, second, bias = self.views(self.values)
        mean, spread = data.scaling
        inputs, outputs = [], []
        for k in range(len(first)):
            weights = first[k].T / spread[k]
            shifted = biases[k, 0] - weights @ mean[k]
            inputs.append(rounded(np.concatenate([weights, shifted[:, None]], axis=1)))
            outputs.append(rounded(np.append(second[k, :, 0], bias[k, 0, 0])))
        return tuple(inputs), tuple(outputs)


def at_each_price(
    data: TrainingData, prices: tuple[float, ...], gradient_at: Callable[[float], Gradient], seed: int
) -> list[tuple[Rows, Rows]]:
    """Return the gates for each price of the cost.

    All begin with the same weights. From the gates of another price, where many samples leave for certain or never,
    training does not come back.
    """
    x = np.ascontiguousarray(data.standardised.transpose(1, 0, 2))
    found: list[tuple[Rows, Rows]] = []
    for price in prices:
        generator = np.random.default_rng(seed)
        nets = StopNets(x.shape[0], x.shape[2], generator)
        nets.descend(x, gradient_at(price), STEPS, generator)
        found.append(nets.rows(data))
    return found


def sigmoid(logits: Values) -> Values:
    """Return the sigmoid, [...]."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))

"""Fitting of the weights and biases of the geometric ensemble to an exit table, by L-BFGS."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import log_probabilities

RIDGE = 1e-3
"""The weight of the L2 penalty. It keeps weights and biases finite if exits are always correct."""

SAMPLES_PER_CLASS = 20
"""The smallest number of samples per class for which biases are fitted."""

_STEPS, _MEMORY, _STRIDE, _DECIMALS = 60, 8, 2.0, 5

Vector = NDArray[np.float64]
Parameters = tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]
"""The weights (K rows of length 1..K) and biases (K rows of length C or 0) of a `GeometricPolicy`."""


def fit_geometric(table: ExitTable) -> Parameters:
    """Return the weights and biases with the lowest negative log-likelihood (Wołczyk et al. 2021, section 3.2).

    The exits are fitted one after another. Exit k has its own weights for exits 0..k, starting at the plain average.
    """
    seen = [log_probabilities(table.logits[:, k]) for k in range(table.num_exits)]
    few = len(table) < SAMPLES_PER_CLASS * table.num_classes
    weights, biases = [], []
    for k in range(table.num_exits):
        loss = ensemble_loss(seen[: k + 1], table.labels, biased=not few)
        found = minimise(loss, np.zeros(k + 1 + (0 if few else table.num_classes)))
        rounded = tuple(round(value, _DECIMALS) for value in np.clip(found, -10, 10).tolist())
        weights.append(rounded[: k + 1])
        biases.append(rounded[k + 1 :])
    return tuple(weights), tuple(biases)


def ensemble_loss(
    seen: list[Vector], labels: NDArray[np.int64], *, biased: bool
) -> Callable[[Vector], tuple[float, Vector]]:
    """Return the function from weights and biases [m + C] ([m] without biases) to the loss and its gradient.

    The loss is the mean negative log-likelihood in nats plus the penalty. `seen` are the log-probabilities [N, C] of m
    exits, `labels` [N] the classes.
    """
    samples, rows = len(labels), np.arange(len(labels))

    def loss(values: Vector) -> tuple[float, Vector]:
        factors = np.exp(values[: len(seen)]) / len(seen)
        logits = sum((factor * each for factor, each in zip(factors, seen, strict=True)), np.zeros_like(seen[0]))
        if biased:
            logits += values[len(seen) :]
        logits -= logits.max(axis=1, keepdims=True)
        residual = np.exp(logits)
        total = residual.sum(axis=1, keepdims=True)
        value = float((np.log(total[:, 0]) - logits[rows, labels]).mean())
        residual /= total
        residual[rows, labels] -= 1.0
        by_weight = [factor * np.vdot(residual, each) for factor, each in zip(factors, seen, strict=True)]
        by_bias = residual.sum(axis=0) if biased else np.zeros(0)
        gradient = np.concatenate([by_weight, by_bias]) / samples
        return value + 0.5 * RIDGE * float((values * values).mean()), gradient + RIDGE * values / len(values)

    return loss


def minimise(loss: Callable[[Vector], tuple[float, Vector]], start: Vector) -> Vector:
    """Return a local minimum, found by L-BFGS with backtracking (Nocedal and Wright 2006, algorithms 7.4 and 3.1).

    No step changes a value by more than _STRIDE, which keeps exponentials finite.
    """
    values = start
    value, gradient = loss(values)
    steps: list[tuple[Vector, Vector]] = []
    for _ in range(_STEPS):
        direction = -_inverse_hessian(steps, gradient)
        slope = float(direction @ gradient)
        if slope > -1e-12:
            break
        size = min(1.0, _STRIDE / float(np.abs(direction).max()))
        following = loss(values + size * direction)
        while following[0] > value + 1e-4 * size * slope and size > 1e-8:
            size *= 0.5
            following = loss(values + size * direction)
        if following[0] >= value:
            break
        moved, turned = size * direction, following[1] - gradient
        done = value - following[0] < 1e-9 * max(1.0, abs(value))
        values = values + moved
        value, gradient = following
        if moved @ turned > 1e-12:
            steps = [*steps, (moved, turned)][-_MEMORY:]
        if done:
            break
    return values


def _inverse_hessian(steps: list[tuple[Vector, Vector]], gradient: Vector) -> Vector:
    """Return the approximate inverse Hessian times the gradient, by the two-loop recursion of L-BFGS."""
    result = gradient.copy()
    shares = []
    for moved, turned in reversed(steps):
        share = (moved @ result) / (moved @ turned)
        shares.append(share)
        result -= share * turned
    if steps:
        moved, turned = steps[-1]
        result *= (moved @ turned) / (turned @ turned)
    else:
        result /= max(1.0, float(np.linalg.norm(gradient)))
    for (moved, turned), share in zip(steps, reversed(shares), strict=True):
        result += (share - (turned @ result) / (moved @ turned)) * moved
    return result

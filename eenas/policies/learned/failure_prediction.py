"""Failure prediction: at each exit, a logistic regression predicts whether the exit's answer is wrong."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.learned.gate import Rows
from eenas.policies.learned.linear_heads import RIDGE_OF_HEADS
from eenas.policies.learned.stop_nets import sigmoid
from eenas.policies.learned.training_data import TrainingData, Values, rounded

_STEPS, _ENOUGH = 50, 1e-8


def train_failure_prediction(data: TrainingData, prices: tuple[float, ...], seed: int) -> list[tuple[Rows, Rows]]:
    """Return a linear gate for each exit, the logit of the probability that its answer is right; prices have no effect.

    Right and wrong answers have the same total weight, so that rare errors count (class weights). The bias then returns
    to the true shares, so that one limit means the same probability at every exit.
    """
    x, (mean, spread) = data.standardised, data.scaling
    rows = []
    for k in range(x.shape[1]):
        values = _fit(x[:, k], data.table.correct()[:, k], data.weights)
        weights = values[:-1] / spread[k]
        rows.append(rounded(np.append(weights, values[-1] - weights @ mean[k])))
    return [(((),) * len(rows), tuple(rows))]


def _fit(x: Values, right: NDArray[np.bool_], weights: Values) -> Values:
    """Return the weights [F] and bias of the regression by Newton's method, on features `x` [N, F]."""
    shares = np.array([max(float(weights[right == each].sum()), 1.0) for each in (False, True)]) / len(x)
    balanced = weights / shares[right.astype(np.int64)] / (2 * len(x))
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    ridge = RIDGE_OF_HEADS * np.eye(design.shape[1])
    values = np.zeros(design.shape[1])
    loss = _loss(design, right, balanced, values)
    for _ in range(_STEPS):
        given = sigmoid(design @ values)
        gradient = design.T @ (balanced * (given - right)) + RIDGE_OF_HEADS * values
        curvature = (design * (balanced * given * (1 - given))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        size, before = 1.0, loss
        while (loss := _loss(design, right, balanced, values - size * step)) > before and size > _ENOUGH:
            size /= 2
        values = values - size * step
        if before - loss <= _ENOUGH:
            break
    values[-1] += np.log(shares[1] / shares[0])
    return values


def _loss(design: Values, right: NDArray[np.bool_], weights: Values, values: Values) -> float:
    logits = design @ values
    loss = float((weights * (np.logaddexp(0.0, logits) - right * logits)).sum())
    return loss + 0.5 * RIDGE_OF_HEADS * float(values @ values)

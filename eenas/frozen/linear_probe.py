"""A linear classifier fitted to convergence on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eenas.errors import TrainingError
from eenas.tasks.splitting import hold_out

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4)
"""The L2 penalties that cross-validation compares, strongest first, for standardised features."""
FOLDS = 5
MOST = 2000
"""The number of samples on which the penalty is chosen. The classifier is then fitted on all samples."""
ITERATIONS = 200
_GRADIENT_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier for raw features: `weight` [C, D] and `bias` [C], float32, and the `penalty` of its fit."""

    weight: Tensor
    bias: Tensor
    penalty: float

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [N, C] of features [N, D]."""
        return functional.linear(features, self.weight, self.bias)


def fit_probe(features: Tensor, labels: Tensor, classes: int, penalty: float) -> LinearProbe:
    """Fit multinomial logistic regression on features [N, D] and labels [N] by L-BFGS, from zero to convergence.

    Minimises the mean cross-entropy plus `penalty` / 2 times the squared norm of the weights of standardised features.
    Raises TrainingError if the features are not finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise TrainingError("the backbone's features are not finite; check its weights")
    mean, scale = _statistics(features)
    weight, bias = _minimise((features - mean) / scale, labels, classes, [penalty])[0]
    raw = weight / scale
    return LinearProbe(raw, bias - raw @ mean, penalty)


def choose_penalty(features: Tensor, labels: Tensor, classes: int, *, seed: int) -> tuple[float, NDArray[np.float32]]:
    """Choose from PENALTIES by cross-validation; return the penalty and its held-out logits [N, C].

    Each of up to FOLDS folds is a stratified part of the samples. The logits of a sample come from the classifier that
    was fitted without its fold. Raises TrainingError if the features are not finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise TrainingError("the backbone's features are not finite; check its weights")
    held_logits = torch.zeros(len(PENALTIES), len(labels), classes)
    for held in _folds(labels.numpy(), seed):
        kept = np.setdiff1d(np.arange(len(labels)), held)
        mean, scale = _statistics(features[kept])
        x, x_held = (features[kept] - mean) / scale, (features[held] - mean) / scale
        for number, (weight, bias) in enumerate(_minimise(x, labels[kept], classes, PENALTIES)):
            held_logits[number, held] = functional.linear(x_held, weight, bias)
    losses = [float(functional.cross_entropy(logits, labels)) for logits in held_logits]
    best = int(np.argmin(losses))
    return PENALTIES[best], held_logits[best].numpy()


def _folds(labels: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Return disjoint, stratified folds that cover all samples, none if each class has only one sample."""
    left = np.arange(len(labels))
    found = []
    for more in range(min(FOLDS, len(labels)), 1, -1):
        counts = np.bincount(labels[left])
        if len(left) <= (counts > 0).sum():  # one sample per class is left, so none can be held out
            break
        kept, held = hold_out(labels[left], 1 / more, seed)
        found.append(left[held])
        left = left[kept]
    return [*found, left] if found else []


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation [D], the latter 1 for constant features."""
    mean = features.mean(dim=0)
    scale = features.std(dim=0, correction=0)
    return mean, torch.where(scale > 1e-6 * (mean.abs() + 1e-12), scale, torch.ones_like(scale))


def _minimise(x: Tensor, labels: Tensor, classes: int, penalties: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
    """Return the weights and biases for each penalty. Each fit starts from the previous one."""
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    found = []
    for penalty in penalties:
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=ITERATIONS,
            tolerance_grad=_GRADIENT_TOLERANCE,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def closure(penalty: float = penalty, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(functional.linear(x, weight, bias), labels)
            loss = loss + penalty / 2 * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        found.append((weight.detach().clone(), bias.detach().clone()))
    return found

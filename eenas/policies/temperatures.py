"""Temperature scaling: one number per exit divides its logits, which makes scores comparable across exits."""

import numpy as np
from numpy.typing import NDArray

from eenas.policies.exit_table import ExitTable

LOWEST, HIGHEST = 0.05, 20.0
"""The bounds of a temperature."""

_BLOCK = 2**17


def fit_temperatures(table: ExitTable) -> NDArray[np.float64]:
    """Return the temperatures [K] with the lowest mean negative log-likelihood on the table (Guo et al. 2017).

    The negative log-likelihood is convex in 1 / T. It is minimised within [LOWEST, HIGHEST] by Newton's method, with
    bisection if a step leaves the bracket. All temperatures stay 1 if a class has no sample in the table. The
    temperature of an exit stays 1 if the exit is always correct (lower temperatures always fit better) or if its
    logits are constant.
    """
    fitted = np.ones(table.num_exits, dtype=np.float64)
    if np.bincount(table.labels, minlength=table.num_classes).min() == 0:
        return fitted
    for k in range(table.num_exits):
        fitted[k] = _fit(table.logits[:, k], table.labels)
    return fitted


def negative_log_likelihood(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """Return the mean negative log-likelihood in nats of labels [N] under softmax(logits [N, C] / temperature)."""
    return _Likelihood(logits, labels).value(1.0 / temperature)


def _fit(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    likelihood = _Likelihood(logits, labels)
    if likelihood.constant or (logits.argmax(axis=1) == labels).all():
        return 1.0
    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    inverse = 1.0
    for _ in range(80):
        slope, curvature = likelihood.derivatives(inverse)
        if slope > 0:
            high = inverse
        else:
            low = inverse
        step = inverse - slope / curvature if curvature > 0 else low
        following = step if low < step < high else float(np.sqrt(low * high))
        if abs(following - inverse) <= 1e-9 * inverse:
            break
        inverse = following
    better = likelihood.value(inverse) < likelihood.value(1.0)
    return float(np.clip(1.0 / inverse, LOWEST, HIGHEST)) if better else 1.0


class _Likelihood:
    """The mean negative log-likelihood of one exit as a function of the inverse temperature."""

    def __init__(self, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        rows = max(1, _BLOCK // logits.shape[1])
        self.samples = len(labels)
        # With classes on the first axis, sums over classes add whole rows: several times faster for few classes.
        self.blocks = [
            np.ascontiguousarray(logits[start : start + rows].T, dtype=np.float64)
            for start in range(0, self.samples, rows)
        ]
        true = 0.0
        for number, below in enumerate(self.blocks):
            below -= below.max(axis=0)
            part = labels[number * rows : number * rows + below.shape[1]]
            true += float(below[part, np.arange(below.shape[1])].sum())
        self.true = true / self.samples
        self.constant = all(not below.any() for below in self.blocks)

    def value(self, inverse: float) -> float:
        """Return the value at an inverse temperature."""
        total = sum(float(np.log(np.exp(below * inverse).sum(axis=0)).sum()) for below in self.blocks)
        return total / self.samples - inverse * self.true

    def derivatives(self, inverse: float) -> tuple[float, float]:
        """Return the first and second derivative in the inverse temperature: means of E_p[z] - z_y and of Var_p[z]."""
        slope = curvature = 0.0
        for below in self.blocks:
            weight = np.exp(below * inverse)
            total = weight.sum(axis=0)
            weight *= below
            mean = weight.sum(axis=0) / total
            weight *= below
            slope += float(mean.sum())
            curvature += float((weight.sum(axis=0) / total - mean * mean).sum())
        return slope / self.samples - self.true, curvature / self.samples

"""The joint loss: one weighted cross-entropy for each exit."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from eenas.errors import DesignError, nearest

Weights = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def _equal(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Every exit the same (Huang et al. 2018, MSDNet)."""
    return np.ones_like(costs)


def _linear(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Deeper exits heavier, k over the sum (Zhou et al. 2020, PABEE)."""
    return np.arange(1.0, len(costs) + 1)


def _branchy(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Early exits heavier, from 1 down to 0.3 (Teerapittayanon et al. 2016, BranchyNet)."""
    return np.linspace(1.0, 0.3, len(costs)) if len(costs) > 1 else np.ones(1)


def _cost(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """In proportion to what reaching the exit costs."""
    return np.asarray(costs / costs.sum())


def _sdn_ramp(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Branches rise to their share of the cost during training, the final exit is 1 (Kaya et al. 2019, SDN)."""
    share = costs / costs[-1]
    weights = np.asarray(np.minimum(share, 0.01 + progress * share))
    weights[-1] = 1.0
    return weights


SCHEMES: dict[str, Weights] = {
    "equal": _equal,
    "linear": _linear,
    "branchy": _branchy,
    "cost": _cost,
    "sdn_ramp": _sdn_ramp,
    "uncertainty": _equal,
}
_NOT_NORMALISED = ("sdn_ramp",)


def exit_weights(scheme: str, costs: Sequence[float] | NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """The weight of each of K exits whose costs (MACs, `[K]`, rising) are given, at `progress` in [0, 1] of training.

    All schemes but `sdn_ramp` are scaled to a mean of one, so that a learning rate means the same in each of them.
    """
    if scheme not in SCHEMES:
        raise DesignError(f"unknown loss_weights {scheme!r}; {nearest(scheme, SCHEMES)}")
    weights = SCHEMES[scheme](np.asarray(costs, dtype=np.float64), progress)
    return weights if scheme in _NOT_NORMALISED else np.asarray(weights / weights.mean())


class JointLoss(nn.Module):
    """`sum_k w_k CE(z_k, y)`; under `uncertainty` `sum_k exp(-s_k) CE_k + s_k` with learned `s_k` in [-3, 3].

    The latter weighs tasks by homoscedastic uncertainty (Kendall, Gal and Cipolla 2018, equation 7).
    """

    def __init__(self, scheme: str, costs: Sequence[float] | NDArray[np.float64], label_smoothing: float = 0.0) -> None:
        super().__init__()
        exit_weights(scheme, costs, 0.0)
        self.scheme = scheme
        self.costs = np.asarray(costs, dtype=np.float64)
        self.label_smoothing = label_smoothing
        self.log_variance = nn.Parameter(torch.zeros(len(self.costs))) if scheme == "uncertainty" else None

    def forward(self, logits: Sequence[Tensor], labels: Tensor, progress: float) -> Tensor:
        """A scalar from K tensors `[N, num_classes]` and labels `[N]`."""
        losses = torch.stack(
            [functional.cross_entropy(exit_.float(), labels, label_smoothing=self.label_smoothing) for exit_ in logits]
        )
        if self.log_variance is not None:
            variance = self.log_variance.clamp(-3.0, 3.0)
            return (torch.exp(-variance) * losses + variance).sum()
        weights = torch.as_tensor(exit_weights(self.scheme, self.costs, progress), dtype=losses.dtype)
        return (weights.to(losses.device) * losses).sum()

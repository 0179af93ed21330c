"""The joint loss: a weighted cross-entropy for each exit, with an optional distillation term."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from eenas.errors import DesignError, nearest
from eenas.training.distillation import distillation_loss

Weights = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def _equal(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Equal weights (Huang et al. 2018, MSDNet)."""
    return np.ones_like(costs)


def _linear(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Weights that rise with depth, k over the sum (Zhou et al. 2020, PABEE)."""
    return np.arange(1.0, len(costs) + 1)


def _branchy(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Weights that fall with depth from 1 to 0.3 (Teerapittayanon et al. 2016, BranchyNet)."""
    return np.linspace(1.0, 0.3, len(costs)) if len(costs) > 1 else np.ones(1)


def _cost(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Weights in proportion to the cost of reaching the exit."""
    return np.asarray(costs / costs.sum())


def _sdn_ramp(costs: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """Branches rise to their share of the cost during training; the final exit has weight 1 (Kaya et al. 2019, SDN)."""
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
    "boosted": _equal,
}
_RISING = ("sdn_ramp",)
"""Schemes with weights that change during training. They are used as published, not scaled to a mean of one."""
AUXILIARY = 0.5
"""The weight of a branch's auxiliary loss relative to the cross-entropy of its exit (Sabour et al. 2017)."""


def exit_weights(
    scheme: str,
    costs: Sequence[float] | NDArray[np.float64],
    progress: float,
    *,
    exits: Sequence[int] | None = None,
    final_weight: float = 1.0,
) -> NDArray[np.float64]:
    """Return the weights of the losses of `exits` (all K by default) at `progress` in [0, 1] of a phase.

    `costs` `[K]` are the MACs of reaching each exit, rising. `final_weight` multiplies the weight of the last of the K
    exits. All schemes but `sdn_ramp` are then scaled to a mean of one, which makes learning rates comparable. A single
    loss has weight one in every scheme.

    Raises DesignError for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise DesignError(f"unknown loss_weights {scheme!r}; {nearest(scheme, SCHEMES)}")
    weights = SCHEMES[scheme](np.asarray(costs, dtype=np.float64), progress)
    weights[-1] *= final_weight
    if exits is not None:
        weights = weights[list(exits)]
    return weights if scheme in _RISING and len(weights) > 1 else np.asarray(weights / weights.mean())


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """The distillation term of the loss: its `weight` in [0, 1], the `temperature`, and the number of taught exits.

    The first `taught` exits of a loss have `(1 - weight) CE + weight T^2 KL`, the others only cross-entropy.
    """

    weight: float
    temperature: float
    taught: int


class JointLoss(nn.Module):
    """`sum_k w_k L_k` with cross-entropy `L_k`. With `uncertainty`, `sum_k exp(-s_k) L_k + s_k` with `s_k` in [-3, 3].

    The latter weighs tasks by learned homoscedastic uncertainty (Kendall, Gal and Cipolla 2018, equation 7).
    `distillation` adds a teacher to `L_k`.
    """

    def __init__(
        self,
        scheme: str,
        costs: Sequence[float] | NDArray[np.float64],
        label_smoothing: float = 0.0,
        *,
        exits: Sequence[int] | None = None,
        final_weight: float = 1.0,
        distillation: Distillation | None = None,
    ) -> None:
        """`exits` are the indices, among the K of `costs`, of the exits whose losses are summed; all by default."""
        super().__init__()
        self.costs = np.asarray(costs, dtype=np.float64)
        self.exits = range(len(self.costs)) if exits is None else exits
        self.scheme, self.final_weight = scheme, final_weight
        self.label_smoothing, self.distillation = label_smoothing, distillation
        self.log_variance = nn.Parameter(torch.zeros(len(self.exits))) if scheme == "uncertainty" else None
        self.weights: Tensor
        self.register_buffer("weights", self._weights(0.0), persistent=False)

    def forward(
        self,
        logits: Sequence[Tensor],
        labels: Tensor,
        progress: float,
        *,
        teacher: Tensor | None = None,
        auxiliary: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """Return the loss, a scalar, for the logits of the exits, each `[N, num_classes]`, and labels `[N]`.

        `teacher` are the logits `[N, num_classes]` for distillation. `auxiliary` are the branches' own losses, one for
        each exit or None, which are added with half the weight of the exit.
        """
        each = [
            functional.cross_entropy(exit_.float(), labels, label_smoothing=self.label_smoothing) for exit_ in logits
        ]
        if self.distillation is not None:
            assert teacher is not None
            weight, temperature = self.distillation.weight, self.distillation.temperature
            for k in range(self.distillation.taught):
                each[k] = (1.0 - weight) * each[k] + weight * distillation_loss(logits[k], teacher, temperature)
        for k, own in enumerate(auxiliary):
            if own is not None:
                each[k] = each[k] + AUXILIARY * own
        losses = torch.stack(each)
        if self.log_variance is not None:
            variance = self.log_variance.clamp(-3.0, 3.0)
            return (torch.exp(-variance) * losses + variance).sum()
        weights = self._weights(progress).to(losses.device) if self.scheme in _RISING else self.weights
        return (weights * losses).sum()

    def _weights(self, progress: float) -> Tensor:
        weights = exit_weights(self.scheme, self.costs, progress, exits=self.exits, final_weight=self.final_weight)
        return torch.as_tensor(weights, dtype=torch.float32)

"""The joint loss: one weighted cross-entropy for each exit, with a teacher's part where there is one."""

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
    "boosted": _equal,
}
_RISING = ("sdn_ramp",)
"""Schemes whose weights change during training; they are taken as published, not scaled to a mean of one."""
AUXILIARY = 0.5
"""The weight of a branch's own loss beside the cross-entropy of its exit (margin loss, Sabour et al. 2017)."""


def exit_weights(
    scheme: str,
    costs: Sequence[float] | NDArray[np.float64],
    progress: float,
    *,
    exits: Sequence[int] | None = None,
    final_weight: float = 1.0,
) -> NDArray[np.float64]:
    """The weights of the losses of `exits` (all K by default) at `progress` in [0, 1] of a phase.

    `costs` `[K]` are the MACs of reaching each exit, rising. `final_weight` multiplies the weight of the last of the K.
    All schemes but `sdn_ramp` are then scaled to a mean of one, so that a learning rate means the same in each of them;
    a loss by itself weighs one in every scheme.
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
    """The teacher's part in the loss: its `weight` in [0, 1], the `temperature`, and how many of the exits it teaches.

    The first `taught` of a loss's exits have `(1 - weight) CE + weight T^2 KL`, the others cross-entropy alone.
    """

    weight: float
    temperature: float
    taught: int


class JointLoss(nn.Module):
    """`sum_k w_k L_k` with cross-entropy as `L_k`; under `uncertainty` `sum_k exp(-s_k) L_k + s_k`, `s_k` in [-3, 3].

    The latter weighs tasks by homoscedastic uncertainty that is learned (Kendall, Gal and Cipolla 2018, equation 7).
    With `distillation` a teacher has its part in `L_k`.
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
        """`exits` are the indices, among the K of `costs`, of those whose losses are summed; all by default."""
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
        """A scalar from the exits' logits, each `[N, num_classes]`, and labels `[N]`.

        `teacher` are the logits `[N, num_classes]` that distillation asks for; `auxiliary` losses of the branches'
        own, one for each exit or None, are added with half the exit's weight.
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

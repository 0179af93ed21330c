"""The structure search at one cut point: supernet weights learn on one part of train, the structure on the other."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.errors import DivergedError, SpecError
from eenas.frozen.descent import descend
from eenas.seeding import derive
from eenas.training.schedule import rate_at

ARCHITECTURE_BETAS = (0.5, 0.999)
"""Adam's, for the weights of a structure, as in DARTS (Liu, Simonyan and Yang 2019, appendix A.1.1)."""
CLIP = 5.0
"""The largest gradient norm of the weights of one supernet."""
AUXILIARY_WEIGHT = 0.5
"""The weight of a branch's own auxiliary loss beside the cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class StructureSpec:
    """The budget and the hyperparameters of a structure search. A study does not draw them.

    `samples` is the budget. It counts every sample that the backbone reads, for weights and for structures, and ends
    with the step that reaches it. Only weights are trained in the first `warmup` of it (a share). `cost_weight` is the
    reduction of the loss in nats that justifies a branch as expensive as the whole backbone. The learning rates of the
    weights fall along a cosine to 0.04 of their initial value: `cell_rate` is that of SGD for cells, `family_rate` that
    of AdamW for families, whose scales differ more. `cell_structure_rate` and `family_structure_rate` are the rates of
    Adam for the structures. (DARTS has 0.025 for the weights and 0.0003 for the structure, over fifty epochs.)
    `augment` applies to the batches for weights only. Raises SpecError for values out of range.
    """

    samples: int
    batch_size: int = 64
    warmup: float = 0.25
    cost_weight: float = 1.0
    cell_rate: float = 0.1
    family_rate: float = 2e-3
    cell_structure_rate: float = 0.01
    family_structure_rate: float = 0.05
    augment: bool = True

    def __post_init__(self) -> None:
        """Check that every value is in its range."""
        if self.samples < 1:
            raise SpecError(f"samples must be a whole number of at least 1, got {self.samples}")
        if self.batch_size < 2:
            raise SpecError(f"batch_size must be at least 2 (batch normalisation), got {self.batch_size}")
        if not 0 <= self.warmup < 1:
            raise SpecError(f"warmup is a share of the budget in [0, 1), got {self.warmup}")
        if self.cost_weight < 0:
            raise SpecError(f"cost_weight must not be negative, got {self.cost_weight}")
        for name in ("cell_rate", "family_rate", "cell_structure_rate", "family_structure_rate"):
            if getattr(self, name) <= 0:
                raise SpecError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class SearchPlace:
    """Where a structure is searched: features of `shape` at a cut point, and logits for `num_classes`.

    The structure found costs at most `limit` MACs; `reference_macs` are the backbone's.
    """

    shape: FeatureShape
    num_classes: int
    limit: float
    reference_macs: float


class StructureSearch(ABC):
    """The supernet of one open branch and the weights of its structure, independent of other branches.

    Order of calls: `train_weights` and, after the warm-up, `train_structure`, any number of times, each with the
    features `[N, ...]` of the cut point (no gradient), labels `[N]` and the progress in [0, 1] of the budget; then
    `found` and `facts`. The result depends only on the seed and these calls.
    """

    def __init__(self, supernet: nn.Module, weights: torch.optim.Optimizer, *, seed: int) -> None:
        """Set up the search. `weights` optimises the weights of `supernet` without those of its structure."""
        self.supernet, self.weights, self.seed = supernet, weights, seed
        self.rates = [float(group["lr"]) for group in weights.param_groups]
        self.steps = 0

    @property
    def is_settled(self) -> bool:
        """Whether there is only one choice, so that no step is needed."""
        return False

    @abstractmethod
    def weight_loss(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the scalar loss of one step of the weights."""

    @abstractmethod
    def train_structure(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """Take one step of the structure's weights."""

    @abstractmethod
    def found(self) -> Branch:
        """Return the structure found so far as a branch that can be built."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return the search's result as JSON data: the choices, their shares and MACs, and the expected MACs."""

    def train_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """Take one step of the weights, or several. Raises DivergedError for a loss that is not finite."""
        self.step_weights(features, labels, progress)

    def step_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """Take one step of the weights on these samples, at the learning rate for `progress`."""
        torch.manual_seed(derive(self.seed, "weights", self.steps))
        self.steps += 1
        self.supernet.train()
        loss = self.weight_loss(features, labels, progress)
        for group, rate in zip(self.weights.param_groups, self.rates, strict=True):
            group["lr"] = rate * (0.04 + 0.96 * rate_at(progress, 0.0))
        if not descend(loss, self.weights, clip=CLIP):
            raise self.divergence()

    def divergence(self) -> DivergedError:
        """Return the error for a loss that is not finite."""
        rate = self.rates[0]
        return DivergedError(
            f"the loss of a structure search is not finite (learning rate {rate:g}); lower the learning rate"
        )


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits `[N, num_classes]` (any float type) and labels `[N]`, in float32."""
    return nn.functional.cross_entropy(logits.float(), labels)

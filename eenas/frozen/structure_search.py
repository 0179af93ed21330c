"""The search at one cut point: weights of a supernet on one part of train, weights of its structure on the other."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eenas.branches.branch import Branch
from eenas.errors import DivergedError, SpecError
from eenas.seeding import derive
from eenas.training.schedule import rate_at

ARCHITECTURE_BETAS = (0.5, 0.999)
"""Of Adam for the weights of a structure, as DARTS has them (Liu, Simonyan and Yang 2019, appendix A.1.1)."""
CLIP = 5.0
"""The largest norm of the gradient of one supernet's weights."""
AUXILIARY_WEIGHT = 0.5
"""The weight of a branch's own auxiliary loss beside the cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class StructureSpec:
    """How long and how hard a structure is searched; what no study draws.

    `samples` is the budget: every sample that the backbone reads counts, those for weights and those for structures;
    the step that reaches it is the last. In the first `warmup` of it only weights are trained. `cost_weight` is the
    loss in nats that a branch as dear as the whole backbone would have to save. The learning rates of the weights fall
    along a cosine to 0.04 of them: `cell_rate` is that of SGD for cells, `family_rate` that of AdamW for families,
    whose scales differ more. `cell_structure_rate` and `family_structure_rate` are those of Adam for the structures.
    (DARTS has 0.025 for the weights and 0.0003 for the structure, over fifty epochs.) `augment` is for weights only.
    Raises SpecError.
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
        """Refuse a budget or rates that search nothing."""
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


class StructureSearch(ABC):
    """The supernet of one open branch and the weights of its structure; knows nothing of other branches.

    Order of calls: any number of times `train_weights` and, when the warm-up is over, `train_structure`, each with
    features `[N, ...]` of the cut point (no gradient), labels `[N]` and the progress in [0, 1] of the budget; then
    `found` and `facts`. What it finds depends on the seed and on these calls alone.
    """

    def __init__(self, supernet: nn.Module, weights: torch.optim.Optimizer, *, seed: int) -> None:
        """`weights` optimises the weights of `supernet`, and not those of its structure."""
        self.supernet, self.weights, self.seed = supernet, weights, seed
        self.rates = [float(group["lr"]) for group in weights.param_groups]
        self.steps = 0

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to choose, so that no step is needed."""
        return False

    @abstractmethod
    def weight_loss(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """The scalar loss of one step of the weights."""

    @abstractmethod
    def train_structure(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """One step of the structure's weights."""

    @abstractmethod
    def found(self) -> Branch:
        """The structure found so far as a branch that can be built."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """How it came about, as JSON data: the choices, their shares and MACs, and the expected MACs."""

    def train_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """One step of the weights, or several. Raises DivergedError for a loss that is not finite."""
        self.step_weights(features, labels, progress)

    def step_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """One step of the weights on these samples, at the rate that belongs to `progress`."""
        torch.manual_seed(derive(self.seed, "weights", self.steps))
        self.steps += 1
        self.supernet.train()
        loss = self.weight_loss(features, labels, progress)
        self.check_finite(loss)
        for group, rate in zip(self.weights.param_groups, self.rates, strict=True):
            group["lr"] = rate * (0.04 + 0.96 * rate_at(progress, 0.0))
        self.weights.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for group in self.weights.param_groups for p in group["params"]], CLIP)
        self.weights.step()

    def check_finite(self, loss: Tensor) -> None:
        """Raise DivergedError for a loss that is not finite."""
        if not bool(torch.isfinite(loss)):
            rate = self.rates[0]
            raise DivergedError(f"the loss of a search for a structure is not finite (rate {rate:g}); lower its rate")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of `[N, num_classes]` (any float type) and labels `[N]`, in float32."""
    return nn.functional.cross_entropy(logits.float(), labels)

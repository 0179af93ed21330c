"""The search among branch families at one cut point by straight-through Gumbel-softmax."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eenas.branches.abilities import auxiliary_loss_of
from eenas.branches.branch import Branch
from eenas.frozen.descent import descend
from eenas.frozen.structure_search import (
    ARCHITECTURE_BETAS,
    AUXILIARY_WEIGHT,
    SearchPlace,
    StructureSearch,
    StructureSpec,
    cross_entropy,
)
from eenas.seeding import derive

FIRST_TEMPERATURE, LAST_TEMPERATURE = 5.0, 0.5
"""The temperature of the Gumbel-softmax at the beginning and at the end. It falls exponentially."""
WEIGHT_DECAY = 1e-2
"""AdamW's, for the weights of the families."""
STEP_SAMPLES = 16
"""The number of samples in a step of the weights."""
LOSS_MOMENTUM = 0.7
"""The weight of the previous value in the running average of a family's loss."""


class FamilySearch(StructureSearch):
    """One structure weight per family. A step draws one family and runs only that one.

    The choice is among whole branches, so their losses are weighted, not their logits, which would favour
    under-confident branches. The loss is `sum_j w_j (l_j + eta m_j)`: w is the straight-through Gumbel-softmax (Jang,
    Gu and Poole 2017; one choice at a time as in Dong and Yang 2019) of the structure's weights, l the cross-entropy
    and m the MACs as a share of the backbone's. For families that are not drawn, l_j is the running average of their
    losses on `tune`.

    During the warm-up all families take turns. The first step of the structure evaluates each of them once.
    """

    def __init__(
        self,
        forms: Mapping[Branch, int],
        place: SearchPlace,
        spec: StructureSpec,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        """Set up the search. `forms` are the possible branches with their MACs, within the limit of `place`."""
        self.forms, self.macs, self.spec = tuple(forms), tuple(forms.values()), spec
        torch.manual_seed(derive(seed, "birth"))
        self.heads = nn.ModuleList(form.build(place.shape, place.num_classes) for form in self.forms).to(device)
        super().__init__(
            self.heads,
            torch.optim.AdamW(self.heads.parameters(), lr=spec.family_rate, weight_decay=WEIGHT_DECAY),
            seed=seed,
        )
        self.alpha = nn.Parameter(torch.zeros(len(self.forms)))
        self.optimizer = torch.optim.Adam([self.alpha], lr=spec.family_structure_rate, betas=ARCHITECTURE_BETAS)
        self.costs = torch.tensor([spec.cost_weight * each / place.reference_macs for each in self.macs])
        self.losses: list[float] = []
        self.draws = np.random.default_rng(derive(seed, "draws"))
        self.turn: list[int] = []

    @property
    def is_settled(self) -> bool:
        """Whether there is only one family."""
        return len(self.forms) == 1

    def train_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """Take one step per 16 samples of the batch, so that each family is drawn more often."""
        parts = max(1, len(labels) // STEP_SAMPLES)
        for some, theirs in zip(features.tensor_split(parts), labels.tensor_split(parts), strict=True):
            self.step_weights(some, theirs, progress)

    def weight_loss(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the loss of one family: each in turn during the warm-up, a drawn one afterwards."""
        head = self.heads[self._next_in_turn() if progress < self.spec.warmup else self._draw(progress)[0]]
        loss = cross_entropy(head(features), labels)
        auxiliary = auxiliary_loss_of(head, labels)
        return loss if auxiliary is None else loss + AUXILIARY_WEIGHT * auxiliary

    def train_structure(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """See `StructureSearch.train_structure`."""
        if not self.losses:
            self.losses = [self._evaluate(index, features, labels) for index in range(len(self.forms))]
        chosen, soft = self._draw(progress)
        self.losses[chosen] = LOSS_MOMENTUM * self.losses[chosen] + (1 - LOSS_MOMENTUM) * self._evaluate(
            chosen, features, labels
        )
        hard = torch.zeros_like(soft)
        hard[chosen] = 1.0
        weights = hard + soft - soft.detach()
        loss = (weights * (torch.tensor(self.losses) + self.costs)).sum()
        if not descend(loss, self.optimizer):
            raise self.divergence()

    def found(self) -> Branch:
        """Return the family with the largest weight, the first of equals."""
        return self.forms[int(self.alpha.detach().argmax())]

    def facts(self) -> dict[str, Any]:
        """See `StructureSearch.facts`; `losses` are the running averages in nats, empty before the first evaluation."""
        shares = torch.softmax(self.alpha.detach(), dim=0).tolist()
        return {
            "forms": [form.label() for form in self.forms],
            "shares": shares,
            "macs": list(self.macs),
            "losses": list(self.losses),
            "expected_macs": sum(share * each for share, each in zip(shares, self.macs, strict=True)),
        }

    def _draw(self, progress: float) -> tuple[int, Tensor]:
        """Return the family that the Gumbel softmax selects, and the differentiable softmax `[F]`."""
        temperature = FIRST_TEMPERATURE * (LAST_TEMPERATURE / FIRST_TEMPERATURE) ** progress
        noise = torch.from_numpy(self.draws.gumbel(size=len(self.forms))).float()
        soft = torch.softmax((self.alpha + noise) / temperature, dim=0)
        return int(soft.argmax()), soft

    def _next_in_turn(self) -> int:
        if not self.turn:
            self.turn = self.draws.permutation(len(self.forms)).tolist()
        return self.turn.pop()

    @torch.no_grad()
    def _evaluate(self, index: int, features: Tensor, labels: Tensor) -> float:
        """Return the cross-entropy of one family with batch statistics and without dropout.

        The running statistics of a rarely drawn family are still close to their initial values.
        """
        head = self.heads[index].eval()
        for module in head.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        return float(cross_entropy(head(features), labels))

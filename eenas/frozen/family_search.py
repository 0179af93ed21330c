"""The choice among families of branches by straight-through Gumbel-softmax, one family at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import auxiliary_loss_of
from eenas.branches.branch import Branch
from eenas.frozen.structure_search import (
    ARCHITECTURE_BETAS,
    AUXILIARY_WEIGHT,
    StructureSearch,
    StructureSpec,
    cross_entropy,
)
from eenas.seeding import derive

HOT, COLD = 5.0, 0.5
"""The temperature of the Gumbel-softmax at the beginning and at the end; it falls exponentially."""
WEIGHT_DECAY = 1e-2
"""Of AdamW for the weights of the families."""
PART = 16
"""How many samples a step of the weights takes."""
MEMORY = 0.7
"""How much of a family's remembered loss a new one leaves."""


class FamilySearch(StructureSearch):
    """One weight for each family; a step draws one family and runs nothing else.

    The choice is among whole branches, so it weighs their losses and not their logits: `sum_j w_j (l_j + eta m_j)` with
    w the straight-through Gumbel-softmax (Jang, Gu and Poole 2017; one choice at a time as in Dong and Yang 2019) of
    the structure's weights, l the cross-entropy and m the MACs as a share of the backbone's. Weighing the drawn
    branch's logits would favour whichever is under-confident. l_j of families that are not drawn is what is remembered
    of them, an average of their latest losses on `tune`.

    During the warm-up all families take turns; the structure's first step meets each of them once.
    """

    def __init__(
        self,
        forms: Mapping[Branch, int],
        feature_shape: FeatureShape,
        num_classes: int,
        spec: StructureSpec,
        *,
        reference_macs: float,
        seed: int,
        device: torch.device,
    ) -> None:
        """`forms` are branches that can stand there, with their MACs; `reference_macs` are the backbone's."""
        self.forms, self.macs, self.spec = tuple(forms), tuple(forms.values()), spec
        torch.manual_seed(derive(seed, "birth"))
        self.heads = nn.ModuleList(form.build(feature_shape, num_classes) for form in self.forms).to(device)
        super().__init__(
            self.heads,
            torch.optim.AdamW(self.heads.parameters(), lr=spec.family_rate, weight_decay=WEIGHT_DECAY),
            seed=seed,
        )
        self.alpha = nn.Parameter(torch.zeros(len(self.forms)))
        self.optimizer = torch.optim.Adam([self.alpha], lr=spec.family_structure_rate, betas=ARCHITECTURE_BETAS)
        self.costs = torch.tensor([spec.cost_weight * each / reference_macs for each in self.macs])
        self.losses: list[float] = []
        self.draws = np.random.default_rng(derive(seed, "draws"))
        self.turn: list[int] = []

    @property
    def is_settled(self) -> bool:
        """Whether there is one family only."""
        return len(self.forms) == 1

    def train_weights(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """A step for each sixteen samples of the batch, so that each family has its turn more often."""
        parts = max(1, len(labels) // PART)
        for some, theirs in zip(features.tensor_split(parts), labels.tensor_split(parts), strict=True):
            self.step_weights(some, theirs, progress)

    def weight_loss(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """The loss of one family: of each in turn during the warm-up, of a drawn one afterwards."""
        head = self.heads[self._next_in_turn() if progress < self.spec.warmup else self._draw(progress)[0]]
        loss = cross_entropy(head(features), labels)
        auxiliary = auxiliary_loss_of(head, labels)
        return loss if auxiliary is None else loss + AUXILIARY_WEIGHT * auxiliary

    def train_structure(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """See `StructureSearch.train_structure`."""
        if not self.losses:
            self.losses = [self._judge(index, features, labels) for index in range(len(self.forms))]
        chosen, soft = self._draw(progress)
        self.losses[chosen] = MEMORY * self.losses[chosen] + (1 - MEMORY) * self._judge(chosen, features, labels)
        hard = torch.zeros_like(soft)
        hard[chosen] = 1.0
        weights = hard + soft - soft.detach()
        loss = (weights * (torch.tensor(self.losses) + self.costs)).sum()
        self.check_finite(loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def found(self) -> Branch:
        """The family with the largest weight; of two alike the earlier one."""
        return self.forms[int(self.alpha.detach().argmax())]

    def facts(self) -> dict[str, Any]:
        """See `StructureSearch.facts`; `losses` are the remembered ones in nats, empty when none was judged."""
        shares = torch.softmax(self.alpha.detach(), dim=0).tolist()
        return {
            "forms": [form.label() for form in self.forms],
            "shares": shares,
            "macs": list(self.macs),
            "losses": list(self.losses),
            "expected_macs": sum(share * each for share, each in zip(shares, self.macs, strict=True)),
        }

    def _draw(self, progress: float) -> tuple[int, Tensor]:
        """The family that the Gumbel noise makes the largest, and the softmax `[F]` that has its gradient."""
        temperature = HOT * (COLD / HOT) ** progress
        noise = torch.from_numpy(self.draws.gumbel(size=len(self.forms))).float()
        soft = torch.softmax((self.alpha + noise) / temperature, dim=0)
        return int(soft.argmax()), soft

    def _next_in_turn(self) -> int:
        if not self.turn:
            self.turn = self.draws.permutation(len(self.forms)).tolist()
        return self.turn.pop()

    @torch.no_grad()
    def _judge(self, index: int, features: Tensor, labels: Tensor) -> float:
        """The cross-entropy of one family by the statistics of the batch, without dropout.

        The running statistics of a family that was drawn a few times are still those of its birth.
        """
        head = self.heads[index].eval()
        for module in head.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        return float(cross_entropy(head(features), labels))

"""The differentiable search for a cell: each edge mixes all operations, first order, with a penalty on their MACs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from eenas.branches.adapter import map_size
from eenas.branches.branch import Branch
from eenas.branches.cell import OPERATIONS, CellHead, edge_shape, edge_strides, operation
from eenas.branches.learned_cell import LearnedCell
from eenas.frozen.structure_search import ARCHITECTURE_BETAS, SearchPlace, StructureSearch, StructureSpec, cross_entropy
from eenas.measurement.macs import count_macs
from eenas.seeding import derive

CHOICES = ("none", *OPERATIONS)
"""The choices that an edge mixes. "none" gives zeros and is never selected."""
MOMENTUM, WEIGHT_DECAY, ARCHITECTURE_DECAY = 0.9, 3e-4, 1e-3
"""The momentum and weight decay of SGD for the weights, and the weight decay of Adam for the structure, as in DARTS."""
SKIP_DROP = 0.3
"""The probability that a skip is dropped for a sample at the beginning of the search. It falls linearly to 0."""
MOST_SKIPS = 1
"""The largest number of skips among the selected operations."""


class MixedEdge(nn.Module):
    """`sum_o softmax(alpha)_o o(x)` over "none" and every operation (Liu, Simonyan and Yang 2019, equation 2)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operation(name, channels, stride, affine=False) for name in OPERATIONS)
        self.alpha = nn.Parameter(1e-3 * torch.randn(len(CHOICES)))
        self.skip_drop = 0.0

    def shares(self) -> Tensor:
        """Return the share `[len(CHOICES)]` of each choice in the mixture."""
        return torch.softmax(self.alpha, dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[N, C, H, W]` to `[N, C, ceil(H / stride), ceil(W / stride)]`."""
        total: Tensor | None = None
        for name, share, each in zip(OPERATIONS, self.shares()[1:], self.operations, strict=True):
            result = each(x)
            if name == "skip" and self.skip_drop:
                kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.skip_drop
                result = result * kept / (1 - self.skip_drop)
            total = share * result if total is None else total + share * result
        assert total is not None
        return total


class CellSearch(StructureSearch):
    """A cell of mixed edges. Weights and structure are trained in turns, without the second-order term of DARTS.

    The loss of the structure is the cross-entropy plus `eta` times the expected MACs as a share of the backbone's. Two
    measures prevent the collapse to skips (Chen, Xie, Wu and Tian 2019, "Progressive DARTS", section 3.3): in weight
    steps a skip is dropped for some samples, with a falling probability, and at most one skip is selected.
    Normalisations have no scale and shift during the search, but the resulting branch has them.
    """

    def __init__(
        self,
        branch: LearnedCell,
        place: SearchPlace,
        spec: StructureSpec,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        """Set up the search. At least one pair of operations must be within the limit of `place`."""
        self.branch, self.limit, self.price = branch, place.limit, spec.cost_weight / place.reference_macs
        feature_shape, num_classes = place.shape, place.num_classes
        _, height, width = map_size(feature_shape, branch.label())
        strides = edge_strides(height, width)
        torch.manual_seed(derive(seed, "birth"))
        self.edges = [MixedEdge(branch.width, stride) for stride in strides]
        supernet = CellHead(
            feature_shape, num_classes, branch.width, self.edges, label=branch.label(), affine=False
        ).to(device)
        self.macs = [
            [
                count_macs(operation(name, branch.width, stride), edge_shape(height, width, branch.width, edge))
                for name in OPERATIONS
            ]
            for edge, stride in enumerate(strides)
        ]
        self.fixed_macs = count_macs(branch.stand_in(feature_shape).build(feature_shape, num_classes), feature_shape)
        self.costs = torch.tensor(self.macs, dtype=torch.float32, device=device)
        structure = {id(edge.alpha) for edge in self.edges}
        super().__init__(
            supernet,
            torch.optim.SGD(
                [parameter for parameter in supernet.parameters() if id(parameter) not in structure],
                lr=spec.cell_rate,
                momentum=MOMENTUM,
                weight_decay=WEIGHT_DECAY,
            ),
            seed=seed,
        )
        self.alphas = [edge.alpha for edge in self.edges]
        self.optimizer = torch.optim.Adam(
            self.alphas, lr=spec.cell_structure_rate, betas=ARCHITECTURE_BETAS, weight_decay=ARCHITECTURE_DECAY
        )

    def weight_loss(self, features: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the cross-entropy of the mixture, with skips dropped for some samples."""
        for edge in self.edges:
            edge.skip_drop = SKIP_DROP * (1 - progress)
        return cross_entropy(self.supernet(features), labels)

    def train_structure(self, features: Tensor, labels: Tensor, progress: float) -> None:
        """See `StructureSearch.train_structure`."""
        for edge in self.edges:
            edge.skip_drop = 0.0
        self.supernet.train()
        loss = cross_entropy(self.supernet(features), labels)
        loss = loss + self.price * self._expected_macs()
        if not bool(torch.isfinite(loss)):
            raise self.divergence()
        for parameter, gradient in zip(self.alphas, torch.autograd.grad(loss, self.alphas), strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def found(self) -> Branch:
        """Return the likeliest operations within the limit, with at most one skip, as a branch."""
        return replace(self.branch, operations=self._best())

    def facts(self) -> dict[str, Any]:
        """See `StructureSearch.facts`; `shares` and `macs` have one row per edge."""
        return {
            "choices": list(CHOICES),
            "shares": [edge.shares().tolist() for edge in self.edges],
            "macs": [[0, *row] for row in self.macs],
            "expected_macs": float(self._expected_macs().detach()),
        }

    def _expected_macs(self) -> Tensor:
        """Return the expected MACs of the cell, with operations weighted by their shares without "none".

        With "none" the penalty could be avoided by scaling down all operations, which normalisation undoes.
        """
        shares = torch.stack([torch.softmax(edge.alpha[1:], dim=0) for edge in self.edges])
        return self.fixed_macs + (shares * self.costs).sum()

    def _best(self) -> tuple[str, ...]:
        scores = [torch.log_softmax(edge.alpha.detach()[1:], dim=0).tolist() for edge in self.edges]

        def total(rows: Sequence[Sequence[float]], pair: Sequence[int]) -> float:
            return sum(row[index] for row, index in zip(rows, pair, strict=True))

        def is_allowed(pair: Sequence[int]) -> bool:
            skips = sum(OPERATIONS[index] == "skip" for index in pair)
            return self.fixed_macs + total(self.macs, pair) <= self.limit and skips <= MOST_SKIPS

        pairs = [pair for pair in product(range(len(OPERATIONS)), repeat=len(self.edges)) if is_allowed(pair)]
        return tuple(OPERATIONS[index] for index in max(pairs, key=lambda pair: total(scores, pair)))

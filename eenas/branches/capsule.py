"""The capsule branch: capsules with routing by agreement; their scaled lengths are the logits."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import MapAdapter, Pooling
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.errors import BranchError

CAPSULE = 8
"""Dimension of a capsule of the lower layer."""
SIDE = 4
"""Largest side of the pooled map. Every position has capsules of its own, and each of them predicts every class."""
START = 10.0
"""Initial scale of the lengths, which are below 1: without it their softmax stays far from 1."""
_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Capsule(Branch):
    """Average to at most 4x4, Conv 1x1 (to width = types x 8), squash, routing by agreement to one capsule per class.

    Sabour et al. 2017 ("Dynamic Routing Between Capsules", section 2 and procedure 1) without the decoder. A class's
    logit is `kappa * |v|` with a learned kappa > 0 that starts at 10: the lengths are below 1, and their plain softmax
    is 0.23 at most for ten classes, below any useful threshold. `auxiliary_loss` is the paper's margin loss on the
    lengths (equation 4: m+ 0.9, m- 0.1, lambda 0.5). `width` is rounded up to a multiple of 8 (whole capsules).
    `d_out` is the dimension of a class's capsule, `routing` the number of iterations. Patch tokens are first arranged
    as a map.

    With N = types x places lower capsules and K classes: MACs = convolution + N K 8 d_out (predictions)
    + (2 routing - 1) N K d_out (weighted sums, and agreements in all iterations but the last).
    """

    kind: ClassVar[str] = "capsule"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    needs_map: ClassVar[bool] = True
    width: int = 32
    d_out: int = 16
    routing: int = 3

    def __post_init__(self) -> None:
        """Check the sizes and round the width up to whole capsules."""
        check_positive(self, "width", "d_out", "routing")
        object.__setattr__(self, "width", -(-self.width // CAPSULE) * CAPSULE)

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`; the module has an `auxiliary_loss`."""
        check_classes(self, num_classes)
        front = MapAdapter(feature_shape, self.label())
        pooling = Pooling("avg", front.places, SIDE)
        primary = nn.Conv2d(front.channels, self.width, 1)
        capsules = self.width // CAPSULE * pooling.count
        return _Capsules(nn.Sequential(front, pooling, primary), capsules, num_classes, self.d_out, self.routing)


class _Capsules(nn.Module):
    def __init__(self, primary: nn.Module, capsules: int, num_classes: int, size: int, routing: int) -> None:
        super().__init__()
        self.primary = primary
        self.transform = nn.Parameter(0.1 * torch.randn(capsules, CAPSULE, num_classes * size))
        self.raw_scale = nn.Parameter(torch.tensor(math.log(math.expm1(START))))
        self.num_classes, self.size, self.routing = num_classes, size, routing
        self._lengths: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Map features to logits [N, num_classes]; in training mode the lengths are kept for the loss."""
        lengths = self._route(self._predictions(features))
        self._lengths = lengths if self.training else None
        return nn.functional.softplus(self.raw_scale) * lengths

    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """Return the margin loss of the last forward pass in training mode: sum over classes, mean over the batch.

        `labels` is int64 [N]. Raises BranchError if there was no such pass.
        """
        if self._lengths is None:
            raise BranchError("capsule: the margin loss needs a forward pass in training mode; call module.train()(x)")
        wanted = nn.functional.one_hot(labels, self.num_classes).to(self._lengths.dtype)
        short = (0.9 - self._lengths).clamp(min=0.0).square()
        long = (self._lengths - 0.1).clamp(min=0.0).square()
        return (wanted * short + 0.5 * (1.0 - wanted) * long).sum(dim=1).mean()

    def _predictions(self, features: Tensor) -> Tensor:
        """Return the prediction of each lower capsule for each class: [N * num_classes, capsules, size]."""
        maps = self.primary(features).flatten(2)  # [N, types * 8, places]
        split = maps.reshape(maps.shape[0], -1, CAPSULE, maps.shape[2])
        lower = _squash(split.transpose(2, 3).flatten(1, 2))  # [N, capsules, 8]
        predicted = torch.bmm(lower.transpose(0, 1), self.transform)  # [capsules, N, num_classes * size]
        each = predicted.reshape(*predicted.shape[:2], self.num_classes, self.size)
        return each.permute(1, 2, 0, 3).flatten(0, 1)

    def _route(self, predicted: Tensor) -> Tensor:
        """Return the lengths [N, num_classes] in [0, 1). Gradients flow through the last iteration only."""
        fixed = predicted.detach()
        agreed = fixed.new_zeros(fixed.shape[:2])  # [N * num_classes, capsules]
        for _ in range(self.routing - 1):
            upper = self._upper(fixed, agreed)
            agreed = agreed + torch.bmm(fixed, upper.transpose(1, 2)).squeeze(2)
        squared = self._upper(predicted, agreed).square().sum(dim=(1, 2))
        return (squared.reshape(-1, self.num_classes) + _EPSILON).sqrt()

    def _upper(self, predicted: Tensor, agreed: Tensor) -> Tensor:
        """Return the class capsules [N * num_classes, 1, size]; each lower capsule is split among the classes."""
        by_class = agreed.reshape(-1, self.num_classes, agreed.shape[1])
        shares = by_class.softmax(dim=1).reshape(-1, 1, agreed.shape[1])
        return _squash(torch.bmm(shares, predicted))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lengths of the last forward pass out of copies and pickles."""
        return {**self.__dict__, "_lengths": None}


def _squash(x: Tensor) -> Tensor:
    """Scale vectors [..., d] to a length below 1, in float32: `|x|^2 / (1 + |x|^2) * x / |x|` (equation 1)."""
    x = x.float()
    squared = x.square().sum(dim=-1, keepdim=True)
    return squared / (1.0 + squared) * x / (squared + _EPSILON).sqrt()

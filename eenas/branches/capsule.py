"""The capsule branch: capsules with routing by agreement, whose lengths are the logits."""

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
"""Numbers in one capsule of the lower layer."""
SIDE = 4
"""Most places along a side of the map: every place has capsules of its own, and each predicts every class."""
START = 10.0
"""What the lengths, all below 1, are multiplied by at first, so that a softmax over them can come near 1."""
_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Capsule(Branch):
    """Average to at most 4x4, Conv 1x1 (to width = types x 8), squash, routing by agreement to one capsule a class.

    Sabour et al. 2017 ("Dynamic Routing Between Capsules", section 2 and procedure 1) without the decoder. A class's
    logit is `kappa * |v|`, kappa > 0 learned from 10: softmax over the bare lengths, which are below 1, never comes
    near a threshold (0.23 at most for ten classes). `auxiliary_loss` is their margin loss on the lengths (equation 4:
    m+ 0.9, m- 0.1, lambda 0.5). `width` is raised to whole capsules, the next multiple of 8; `d_out` is the size of a
    class's capsule, `routing` the number of iterations. Patch tokens are laid out as their square map first.

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
        """Refuse sizes that no layer has, and make the width one of whole capsules."""
        check_positive(self, "width", "d_out", "routing")
        object.__setattr__(self, "width", -(-self.width // CAPSULE) * CAPSULE)

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`; the module has an `auxiliary_loss`."""
        check_classes(self, num_classes)
        front = MapAdapter(feature_shape, self.label())
        pooling = Pooling("avg", front.height, front.width, SIDE)
        primary = nn.Conv2d(front.channels, self.width, 1)
        capsules = self.width // CAPSULE * pooling.height * pooling.width
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
        """Features of a plane to logits `[N, num_classes]`; the lengths are kept for the loss in training mode."""
        lengths = self._route(self._predictions(features))
        self._lengths = lengths if self.training else None
        return nn.functional.softplus(self.raw_scale) * lengths

    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """The margin loss, summed over classes, mean over the batch of the last forward pass in training mode.

        `labels` int64 `[N]`. Raises BranchError where there was none.
        """
        if self._lengths is None:
            raise BranchError("capsule: the margin loss needs a forward pass in training mode; call module.train()(x)")
        wanted = nn.functional.one_hot(labels, self.num_classes).to(self._lengths.dtype)
        short = (0.9 - self._lengths).clamp(min=0.0).square()
        long = (self._lengths - 0.1).clamp(min=0.0).square()
        return (wanted * short + 0.5 * (1.0 - wanted) * long).sum(dim=1).mean()

    def _predictions(self, features: Tensor) -> Tensor:
        """What every lower capsule predicts for every class: `[N * num_classes, capsules, size]`."""
        maps = self.primary(features).flatten(2)  # [N, types * 8, places]
        split = maps.reshape(maps.shape[0], -1, CAPSULE, maps.shape[2])
        lower = _squash(split.transpose(2, 3).flatten(1, 2))  # [N, capsules, 8]
        predicted = torch.bmm(lower.transpose(0, 1), self.transform)  # [capsules, N, num_classes * size]
        each = predicted.reshape(*predicted.shape[:2], self.num_classes, self.size)
        return each.permute(1, 2, 0, 3).flatten(0, 1)

    def _route(self, predicted: Tensor) -> Tensor:
        """Lengths `[N, num_classes]` in [0, 1); gradients flow through the last iteration only."""
        fixed = predicted.detach()
        agreed = fixed.new_zeros(fixed.shape[:2])  # [N * num_classes, capsules]
        for _ in range(self.routing - 1):
            upper = self._upper(fixed, agreed)
            agreed = agreed + torch.bmm(fixed, upper.transpose(1, 2)).squeeze(2)
        squared = self._upper(predicted, agreed).square().sum(dim=(1, 2))
        return (squared.reshape(-1, self.num_classes) + _EPSILON).sqrt()

    def _upper(self, predicted: Tensor, agreed: Tensor) -> Tensor:
        """The classes' capsules `[N * num_classes, 1, size]`: each lower one shares itself out among the classes."""
        by_class = agreed.reshape(-1, self.num_classes, agreed.shape[1])
        shares = by_class.softmax(dim=1).reshape(-1, 1, agreed.shape[1])
        return _squash(torch.bmm(shares, predicted))

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and saved: without the lengths, which belong to one forward pass."""
        return {**self.__dict__, "_lengths": None}


def _squash(x: Tensor) -> Tensor:
    """Vectors `[..., d]` shortened to below 1, in float32: `|x|^2 / (1 + |x|^2) * x / |x|` (equation 1)."""
    x = x.float()
    squared = x.square().sum(dim=-1, keepdim=True)
    return squared / (1.0 + squared) * x / (squared + _EPSILON).sqrt()

"""The readout branch: nodes or tokens pooled without the padding by mean, maximum and sum, joined, and an MLP."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.branches.masked import masked_maximum, masked_mean, split_carried
from eenas.errors import BranchError
from eenas.escaping import shortened

POOLS_OF_NODES = ("mean", "max", "sum")


@dataclass(frozen=True, kw_only=True)
class ReadoutBranch(Branch):
    """The `pools` of the nodes' features, joined; BatchNorm, Linear(P D, width), ReLU, Linear(width, classes).

    For graphs. The sum distinguishes graphs that mean and maximum do not (Xu et al. 2019, "How powerful are graph
    neural networks?", section 5). Tokens without a mask are all pooled. Maps, series and vectors are refused.
    """

    kind: ClassVar[str] = "readout"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 32
    pools: tuple[str, ...] = POOLS_OF_NODES

    def __post_init__(self) -> None:
        """Check the fields."""
        check_positive(self, "width")
        object.__setattr__(self, "pools", tuple(self.pools))
        if not self.pools or set(self.pools) - set(POOLS_OF_NODES) or len(set(self.pools)) != len(self.pools):
            raise BranchError(f"readout: pools are some of {', '.join(POOLS_OF_NODES)}, got {shortened(self.pools)}")

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError unless the features are of nodes or tokens."""
        if feature_shape.kind != "tokens":
            raise BranchError(f"{self.label()}: needs nodes or tokens, got a {feature_shape.kind}; use fc or mlp there")

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        self.check(feature_shape)
        inputs = feature_shape.channels * len(self.pools)
        return nn.Sequential(
            NodePooling(feature_shape, self.pools),
            nn.BatchNorm1d(inputs),
            nn.Linear(inputs, self.width),
            nn.ReLU(),
            nn.Linear(self.width, num_classes),
        )


class NodePooling(nn.Module):
    """Pools nodes or tokens [N, L, D + c] to a vector [N, P D], without the padding."""

    def __init__(self, shape: FeatureShape, pools: tuple[str, ...]) -> None:
        super().__init__()
        self.shape, self.pools = shape, pools

    def forward(self, features: Tensor) -> Tensor:
        """Return the joined pools."""
        tokens, mask = split_carried(features, self.shape)
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return torch.cat([_pooled(pool, tokens, mask) for pool in self.pools], dim=1)


def _pooled(pool: str, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the mean, maximum or sum [N, D] of tokens [N, L, D] where the mask [N, L] is true."""
    if pool == "sum":
        return torch.where(mask.unsqueeze(2), tokens, 0.0).sum(dim=1)
    return masked_mean(tokens, mask) if pool == "mean" else masked_maximum(tokens, mask)

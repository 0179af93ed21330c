"""The pool_fc branch: pooled features and one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import PooledTokens, Pooling, adapter_of
from eenas.branches.branch import Branch, Pool, check_classes, check_pool, check_positive
from eenas.branches.masked import MaskedPooling
from eenas.errors import BranchError


@dataclass(frozen=True, kw_only=True)
class PoolFc(Branch):
    """Pool a map to at most `size` x `size` ("avg", "max" or "mixed"), a series to at most `size`, then Linear.

    "mixed" with size 4 is the internal classifier of Shallow-Deep Networks (Kaya et al. 2019), "avg" with size 1
    that of EENet (Demir & Akbas 2019). Tokens are normalised (LayerNorm), and all patches are pooled to a single
    vector; they need no grid. With a mask, tokens and series are pooled to one vector without the padding.
    """

    kind: ClassVar[str] = "pool_fc"
    sizes: ClassVar[tuple[str, ...]] = ("pool",)
    pool: Pool = "avg"
    size: int = 4

    def __post_init__(self) -> None:
        """Check the fields."""
        check_positive(self, "size")
        check_pool(self, self.pool)

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError for a vector."""
        if feature_shape.kind == "vector":
            raise BranchError(
                f"{self.label()}: needs a map or tokens, got a vector of {feature_shape}; use fc or mlp there"
            )

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        self.check(feature_shape)
        if feature_shape.carried:
            masked = MaskedPooling(feature_shape, self.pool)
            return nn.Sequential(masked, nn.Linear(feature_shape.channels, num_classes))
        front: nn.Module
        if feature_shape.kind == "tokens":
            front = PooledTokens(feature_shape)
            pooling = Pooling(self.pool, (1, feature_shape.dims[0] - feature_shape.prefix_tokens), 1)
        else:
            front = adapter_of(feature_shape, self.label())
            pooling = Pooling(self.pool, feature_shape.places, self.size)
        inputs = feature_shape.channels * pooling.count
        return nn.Sequential(front, pooling, nn.Flatten(), nn.Linear(inputs, num_classes))

"""The conv_pool_fc branch: strided convolutions, pooling, one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch, Pool, check_classes, check_pool, check_positive
from eenas.branches.front import MapFront, Pooling, conv_block


@dataclass(frozen=True, kw_only=True)
class ConvPoolFc(Branch):
    """`layers` times Conv 3x3 (to width, stride 2), batch normalisation, ReLU; pool to at most `size` x `size`; Linear.

    The classifier of MSDNet (Huang et al. 2018, section 4) with 2 layers of 128 channels; each convolution halves the
    map, so that more layers cost little more than one. Patch tokens are laid out as their square map first.
    """

    kind: ClassVar[str] = "conv_pool_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers", "pool")
    needs_map: ClassVar[bool] = True
    width: int = 32
    layers: int = 2
    pool: Pool = "avg"
    size: int = 2

    def __post_init__(self) -> None:
        """Refuse sizes that no layer has."""
        check_positive(self, "width", "layers", "size")
        check_pool(self, self.pool)

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        front = MapFront(feature_shape, self.label())
        blocks, channels, height, width = [], front.channels, front.height, front.width
        for _ in range(self.layers):
            blocks.append(conv_block(channels, self.width, stride=2))
            channels, height, width = self.width, -(-height // 2), -(-width // 2)
        pooling = Pooling(self.pool, height, width, self.size)
        inputs = channels * pooling.height * pooling.width
        return nn.Sequential(front, *blocks, pooling, nn.Flatten(), nn.Linear(inputs, num_classes))

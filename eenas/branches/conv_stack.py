"""The conv_stack branch: several convolutions at one resolution, average pooling, one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import Pooling, adapter_of, conv_block
from eenas.branches.branch import Branch, check_classes, check_positive

_LARGE = 8
"""The largest side of a map that the first convolution does not halve."""


@dataclass(frozen=True, kw_only=True)
class ConvStack(Branch):
    """`layers` times Conv 3x3 (to width), batch normalisation, ReLU; average to at most `size` x `size`; Linear.

    The first convolution has stride 2 if a side is above 8, which saves three quarters of the cost. With `size` 1 this
    is the fully convolutional form: a global average and a linear layer give the same function as a 1x1 convolution and
    a global average, and cost less. The stacks of B-AlexNet (BranchyNet) and NACHOS. Along a series
    convolutions have 3 points.
    """

    kind: ClassVar[str] = "conv_stack"
    sizes: ClassVar[tuple[str, ...]] = ("width", "layers")
    needs_places: ClassVar[bool] = True
    width: int = 32
    layers: int = 2
    size: int = 4

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, "width", "layers", "size")

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        front = adapter_of(feature_shape, self.label())
        axes = len(front.places)
        stride = 2 if max(front.places) > _LARGE else 1
        blocks = [conv_block(front.channels, self.width, stride, axes)]
        blocks += [conv_block(self.width, self.width, 1, axes) for _ in range(self.layers - 1)]
        pooling = Pooling("avg", [-(-side // stride) for side in front.places], self.size)
        linear = nn.Linear(self.width * pooling.count, num_classes)
        return nn.Sequential(front, *blocks, pooling, nn.Flatten(), linear)

"""The conv_fc branch: one strided convolution, flatten, one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import MapAdapter, conv_block
from eenas.branches.branch import Branch, check_classes, check_positive


@dataclass(frozen=True, kw_only=True)
class ConvFc(Branch):
    """Conv 3x3 (C to width, stride 2), batch normalisation, ReLU, flatten, Linear.

    The convolutional branch of BranchyNet (Teerapittayanon et al. 2016) with a stride in place of pooling. Patch tokens
    are first arranged as a map.
    """

    kind: ClassVar[str] = "conv_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    needs_map: ClassVar[bool] = True
    width: int = 32

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, "width")

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        front = MapAdapter(feature_shape, self.label())
        places = -(-front.height // 2) * -(-front.width // 2)
        return nn.Sequential(
            front,
            conv_block(front.channels, self.width, stride=2),
            nn.Flatten(),
            nn.Linear(self.width * places, num_classes),
        )

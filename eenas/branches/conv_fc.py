"""The conv_fc branch: one strided convolution, flatten, one linear layer."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import adapter_of, conv_block
from eenas.branches.branch import Branch, check_classes, check_positive


@dataclass(frozen=True, kw_only=True)
class ConvFc(Branch):
    """Conv 3x3 (C to width, stride 2), batch normalisation, ReLU, flatten, Linear.

    The convolutional branch of BranchyNet (Teerapittayanon et al. 2016) with a stride in place of pooling. Patch tokens
    are first arranged as a map. Along a series the convolution has 3 points.
    """

    kind: ClassVar[str] = "conv_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    needs_places: ClassVar[bool] = True
    width: int = 32

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, "width")

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        front = adapter_of(feature_shape, self.label())
        places = math.prod(-(-side // 2) for side in front.places)
        return nn.Sequential(
            front,
            conv_block(front.channels, self.width, 2, len(front.places)),
            nn.Flatten(),
            nn.Linear(self.width * places, num_classes),
        )

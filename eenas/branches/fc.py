"""The fc branch: flatten and one linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import VectorAdapter, adapter_of
from eenas.branches.branch import Branch, check_classes


@dataclass(frozen=True, kw_only=True)
class Fc(Branch):
    """Flatten, then Linear(C * H * W, classes). For tokens: LayerNorm, the class token or else the mean, Linear.
    For a series with a mask: the mean of its points, Linear.

    The linear classifier of BranchyNet's last exits (Teerapittayanon et al. 2016) and of PABEE (Zhou et al. 2020).
    """

    kind: ClassVar[str] = "fc"

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        if feature_shape.kind in ("map", "series") and not feature_shape.carried:
            front = adapter_of(feature_shape, self.label())
            return nn.Sequential(front, nn.Flatten(), nn.Linear(feature_shape.elements, num_classes))
        return nn.Sequential(VectorAdapter(feature_shape), nn.Linear(feature_shape.channels, num_classes))

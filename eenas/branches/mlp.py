"""The mlp branch: features averaged to a vector, then a hidden layer and a linear layer."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import VectorAdapter
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.errors import BranchError
from eenas.escaping import shortened


@dataclass(frozen=True, kw_only=True)
class Mlp(Branch):
    """Spatial mean, Linear(D, width), ReLU (GELU for tokens), Dropout, Linear(width, classes).

    Tokens give their class token or else their mean, after a LayerNorm unless `norm` is "none". `dropout` is a
    probability in [0, 1). Without both this is the two-layer head of Zero Time Waste (Wolczyk et al. 2021).
    """

    kind: ClassVar[str] = "mlp"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 64
    dropout: float = 0.1
    norm: Literal["layer", "none"] = "layer"

    def __post_init__(self) -> None:
        """Check the fields."""
        check_positive(self, "width")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise BranchError(f"mlp: dropout must be a probability in [0, 1), got {shortened(self.dropout)}")
        if self.norm not in ("layer", "none"):
            raise BranchError(f"mlp: norm must be layer or none, got {shortened(self.norm)}")
        object.__setattr__(self, "dropout", float(self.dropout))

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        return nn.Sequential(
            VectorAdapter(feature_shape, normalised=self.norm == "layer"),
            nn.Linear(feature_shape.channels, self.width),
            nn.GELU() if feature_shape.kind == "tokens" else nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.width, num_classes),
        )

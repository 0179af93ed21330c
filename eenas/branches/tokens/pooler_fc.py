"""The pooler_fc branch: the pooler of BERT and one linear layer."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import VectorAdapter
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.errors import BranchError
from eenas.escaping import shortened

Reads = Literal["class", "mean"]


@dataclass(frozen=True, kw_only=True)
class PoolerFc(Branch):
    """The class token, Linear(D, width), tanh, Dropout, Linear(width, classes).

    The pooler of BERT (Devlin et al. 2019) and the off-ramp of DeeBERT (Xin et al. 2020, section 3.1). `width` 0 stands
    for D, as in both. Without a class token, and with `reads` "mean", the mean of the tokens that are no padding takes
    its place; of a map or series, the mean of the places. Tokens are normalised first (LayerNorm) unless `norm` is
    "none". `dropout` is a probability in [0, 1).

    With `shared`, all such branches of a network have one pooler while they are trained together, as in PABEE (Zhou et
    al. 2020); each keeps a copy of it. Branches that are trained apart, as in the bank, have poolers of their own.
    """

    kind: ClassVar[str] = "pooler_fc"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 64
    dropout: float = 0.1
    norm: Literal["layer", "none"] = "layer"
    reads: Reads = "class"
    shared: bool = False

    def __post_init__(self) -> None:
        """Check the fields."""
        if type(self.width) is not int or self.width:
            check_positive(self, "width")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise BranchError(f"{self.kind}: dropout must be a probability in [0, 1), got {shortened(self.dropout)}")
        for name, known in (("norm", ("layer", "none")), ("reads", get_args(Reads))):
            if (value := getattr(self, name)) not in known:
                raise BranchError(f"{self.kind}: {name} must be one of {', '.join(known)}, got {shortened(value)}")
        if not isinstance(self.shared, bool):
            raise BranchError(f"{self.kind}: shared must be true or false, got {shortened(self.shared)}")
        object.__setattr__(self, "dropout", float(self.dropout))

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`."""
        check_classes(self, num_classes)
        shape = replace(feature_shape, class_token=False) if self.reads == "mean" else feature_shape
        width = self.width or shape.channels
        kind = _SharedPooler if self.shared else nn.Sequential
        return kind(
            VectorAdapter(shape, normalised=self.norm == "layer"),
            nn.Linear(shape.channels, width),
            nn.Tanh(),
            nn.Dropout(self.dropout),
            nn.Linear(width, num_classes),
        )

    def label(self) -> str:
        """Return a short text such as "pooler_fc 64" or "pooler_fc D mean"."""
        words = (self.reads if self.reads != "class" else "", "shared" if self.shared else "")
        return " ".join((self.kind, str(self.width or "D"), *filter(None, words)))


class _SharedPooler(nn.Sequential):
    shared_part = "1"

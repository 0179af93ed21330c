"""The cascade: a branch that also reads the logits of the exit before it."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import WithAuxiliaryLoss, auxiliary_loss_of
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.errors import BranchError
from eenas.escaping import shortened


@dataclass(frozen=True, kw_only=True)
class Cascade(Branch):
    """`branch`, with a linear view of the previous exit's logits added: z + Linear(LayerNorm(previous)).

    Zero Time Waste (Wolczyk et al. 2021, section 3.1) appends the normalised logits of the exit before to what the last
    linear layer of its branch reads; since that layer is a sum, adding is the same function. The gradient stops at the
    previous logits. The added layer starts at zero, so that a cascade begins as the branch it wraps; it costs
    classes x classes MACs. The first exit of a network has none before it and cannot be one.
    """

    kind: ClassVar[str] = "cascade"
    branch: Branch = field(default_factory=Fc)

    def __post_init__(self) -> None:
        """Refuse what is no branch, and a cascade of a cascade."""
        if not isinstance(self.branch, Branch) or isinstance(self.branch, Cascade):
            raise BranchError(f"cascade: wraps one plain branch, got {shortened(self.branch)}")

    @property
    def is_open(self) -> bool:
        """Whether a search has yet to find the structure of the branch inside."""
        return self.branch.is_open

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """See `Branch.stand_in`: the cascade of what stands for the branch inside."""
        return Cascade(branch=self.branch.stand_in(feature_shape))

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError when the branch inside cannot stand at features of this shape."""
        self.branch.check(feature_shape)

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """A module called as `module(features, previous)`, see `eenas.branches.abilities.takes_previous`."""
        inside = self.branch.build(feature_shape, num_classes)
        kind = _CascadedWithLoss if isinstance(inside, WithAuxiliaryLoss) else _Cascaded
        return kind(inside, num_classes)

    def to_table(self) -> dict[str, Any]:
        """The kind and the table of the branch inside."""
        return {"kind": self.kind, "branch": self.branch.to_table()}

    def label(self) -> str:
        """Short text such as "cascade of conv_fc 32"."""
        return f"{self.kind} of {self.branch.label()}"


class _Cascaded(nn.Module):
    takes_previous = True

    def __init__(self, branch: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.branch = branch
        self.norm = nn.LayerNorm(num_classes)
        self.previous = nn.Linear(num_classes, num_classes, bias=False)
        nn.init.zeros_(self.previous.weight)

    def forward(self, features: Tensor, previous: Tensor) -> Tensor:
        """Features and the previous exit's logits `[N, num_classes]` to logits `[N, num_classes]`."""
        logits: Tensor = self.branch(features) + self.previous(self.norm(previous))
        return logits


class _CascadedWithLoss(_Cascaded):
    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """The loss of the branch inside."""
        loss = auxiliary_loss_of(self.branch, labels)
        assert loss is not None
        return loss

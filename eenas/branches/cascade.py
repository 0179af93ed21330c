"""The cascade: a branch that also reads the logits of the previous exit."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from eenas.backbones.features import FeatureShape
from eenas.branches.abilities import WithAuxiliaryLoss, auxiliary_loss_of
from eenas.branches.branch import Branch
from eenas.branches.building import built
from eenas.branches.fc import Fc
from eenas.errors import BranchError
from eenas.escaping import shortened


@dataclass(frozen=True, kw_only=True)
class Cascade(Branch):
    """A wrapper that adds a linear function of the previous exit's logits to a branch: z + Linear(LayerNorm(previous)).

    Zero Time Waste (Wolczyk et al. 2021, section 3.1) concatenates the normalised logits of the previous exit with the
    input of the branch's last linear layer; adding a second linear layer is the same function. No gradient flows into
    the previous logits. The added layer starts at zero, so a new cascade equals its branch. It costs
    classes x classes MACs. The first exit of a network has no previous exit and cannot be a cascade.
    """

    kind: ClassVar[str] = "cascade"
    branch: Branch = field(default_factory=Fc)

    def __post_init__(self) -> None:
        """Raise BranchError unless `branch` is a branch and not a cascade itself."""
        if not isinstance(self.branch, Branch) or isinstance(self.branch, Cascade):
            raise BranchError(f"cascade: branch must be a branch other than a cascade, got {shortened(self.branch)}")

    @property
    def is_open(self) -> bool:
        """Whether the structure of the inner branch is still to be found by a search."""
        return self.branch.is_open

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """Return the cascade of the inner branch's `stand_in`."""
        return Cascade(branch=self.branch.stand_in(feature_shape))

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError if the inner branch does not fit features of this shape."""
        self.branch.check(feature_shape)

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """Return a module that is called as `module(features, previous)`, see `abilities.takes_previous`."""
        inside = built(self.branch, feature_shape, num_classes)
        kind = _CascadedWithLoss if isinstance(inside, WithAuxiliaryLoss) else _Cascaded
        return kind(inside, num_classes)

    def to_table(self) -> dict[str, Any]:
        """Return the kind and the table of the inner branch."""
        return {"kind": self.kind, "branch": self.branch.to_table()}

    def label(self) -> str:
        """Return a short text such as "cascade of conv_fc 32"."""
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
        """Map features and the previous exit's logits [N, num_classes] to logits [N, num_classes]."""
        logits: Tensor = self.branch(features) + self.previous(self.norm(previous))
        return logits


class _CascadedWithLoss(_Cascaded):
    def auxiliary_loss(self, labels: Tensor) -> Tensor:
        """Return the auxiliary loss of the inner branch."""
        loss = auxiliary_loss_of(self.branch, labels)
        assert loss is not None
        return loss

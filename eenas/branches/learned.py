"""The learned branch: a search at the cut point chooses one of the other families."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.branches.capsule import Capsule
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.branches.tokens.attention_fc import AttentionFc
from eenas.branches.tokens.pooler_fc import PoolerFc
from eenas.branches.tokens.token_conv import TokenConv
from eenas.errors import BranchError


@dataclass(frozen=True, kw_only=True)
class Learned(Branch):
    """A branch that a search at its cut point replaces by one of `forms`, the other families at this width.

    It is always open: it can be drawn and placed, but has no module and no costs. The result of the search is a plain
    branch of its family. The cost cap checks the simplest form (`stand_in`), and the search only considers forms within
    the cap.
    """

    kind: ClassVar[str] = "learned"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 32

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_positive(self, "width")

    @property
    def is_open(self) -> bool:
        """Always True."""
        return True

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """Raise BranchError: an open branch has no module."""
        check_classes(self, num_classes)
        raise BranchError(
            f"{self.label()}: an open branch cannot be built; search its structure first and build the branch found"
        )

    def forms(self, feature_shape: FeatureShape) -> tuple[Branch, ...]:
        """Return all forms that fit features of this shape, the simplest first.

        Families for tokens are among them where the features have a mask.
        """
        every: tuple[Branch, ...] = (
            PoolFc(pool="avg", size=1),
            PoolFc(pool="mixed", size=4),
            Fc(),
            Mlp(width=self.width),
            ConvFc(width=self.width),
            ConvStack(width=self.width, layers=2),
            ConvPoolFc(width=self.width, layers=2),
            Capsule(width=self.width),
        )
        if feature_shape.carried:
            every += (PoolerFc(width=self.width), AttentionFc(width=self.width), TokenConv(width=self.width))
        return tuple(_fitting(every, feature_shape))

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """Return the simplest form: a global average and a linear layer, or the linear layer alone for a vector."""
        return self.forms(feature_shape)[0]


def _fitting(branches: Iterable[Branch], shape: FeatureShape) -> Iterator[Branch]:
    for branch in branches:
        try:
            branch.check(shape)
        except BranchError:
            continue
        yield branch

"""The learned branch: one of the other families, which a search chooses where the branch stands."""

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
from eenas.errors import BranchError


@dataclass(frozen=True, kw_only=True)
class Learned(Branch):
    """A branch that becomes one of `forms`, the other families at this width, by a search at its cut point.

    It is always open: it can be drawn and placed, but neither built nor counted, and what is found is a plain branch
    of its family. The cost cap looks at the plainest form (`stand_in`); the search chooses among those that keep it.
    """

    kind: ClassVar[str] = "learned"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 32

    def __post_init__(self) -> None:
        """Refuse sizes that no layer has."""
        check_positive(self, "width")

    @property
    def is_open(self) -> bool:
        """Always."""
        return True

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """Raises BranchError: there is nothing to build before a search has chosen."""
        check_classes(self, num_classes)
        raise BranchError(f"{self.label()}: a search finds its structure, so it cannot be built; build what was found")

    def forms(self, feature_shape: FeatureShape) -> tuple[Branch, ...]:
        """What it may become at features of this shape, the plainest first: all that can stand there."""
        every = (
            PoolFc(pool="avg", size=1),
            PoolFc(pool="mixed", size=4),
            Fc(),
            Mlp(width=self.width),
            ConvFc(width=self.width),
            ConvStack(width=self.width, layers=2),
            ConvPoolFc(width=self.width, layers=2),
            Capsule(width=self.width),
        )
        return tuple(_standing(every, feature_shape))

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """An average over all places and one linear layer; of a vector the linear layer."""
        return self.forms(feature_shape)[0]


def _standing(branches: Iterable[Branch], shape: FeatureShape) -> Iterator[Branch]:
    for branch in branches:
        try:
            branch.check(shape)
        except BranchError:
            continue
        yield branch

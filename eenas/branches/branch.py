"""The contract of a branch: a frozen spec of a small classifier that stands at a cut point."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import map_size
from eenas.errors import BranchError
from eenas.escaping import shortened

Pool = Literal["avg", "max", "mixed"]
POOLS: tuple[Pool, ...] = ("avg", "max", "mixed")


@dataclass(frozen=True, kw_only=True)
class Branch(ABC):
    """One structure of a branch, as data; the same spec at the same cut point is the same module in every design.

    A family is a frozen dataclass that derives from this one, gives each of its fields a default, and says

    - `kind`: its name in tables and search spaces. A family outside eenas need not set it: its kind is the reference
      (`./file.py:Class`) that it was loaded by.
    - `sizes`: which of the sizes that families share ("width", "layers", "pool") are fields of it.
    - `needs_map`: whether it needs a plane, so that a vector, or tokens that fill no square, are refused.

    What it builds takes features and gives logits. It may also have a loss of its own, and may ask for the logits of
    the exit before (`eenas.branches.abilities`).

    Order of calls: birth checks the fields (`__post_init__`); `check(shape)` says whether it can stand there;
    `build(shape, num_classes)` checks again and makes the module. `eenas.testing.branch_contract.check_branch` tests
    a family.
    """

    kind: ClassVar[str] = ""
    sizes: ClassVar[tuple[str, ...]] = ()
    needs_map: ClassVar[bool] = False

    @abstractmethod
    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """A module from features `[N, *feature_shape.dims]` to logits `[N, num_classes]`, freshly initialised.

        Raises BranchError when the branch cannot stand there. Training needs N of at least 2 where batch
        normalisation is used; evaluation works with any N.
        """

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError when the branch cannot stand at features of this shape."""
        if self.needs_map:
            map_size(feature_shape, self.label())

    @property
    def is_open(self) -> bool:
        """Whether a search has yet to find the structure, so that it cannot be built as it is."""
        return False

    def stand_in(self, feature_shape: FeatureShape) -> "Branch":
        """The branch whose MACs the cost cap looks at: this one, or the plainest form that an open one may take."""
        return self

    def to_table(self) -> dict[str, Any]:
        """The kind and every field, as JSON data; `branch_from_table` is the inverse."""
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)}}

    def label(self) -> str:
        """Short text such as "conv_fc 32", "conv_stack 2x32", "pool_fc mixed", or "MyBranch 16" for the user's own."""
        width, layers, pool = (getattr(self, name) if name in self.sizes else None for name in SIZES)
        name = self.kind.rpartition(":")[2] or type(self).__name__
        channels = f"{layers}x{width}" if layers is not None and width is not None else width or layers
        return " ".join(str(part) for part in (name, channels, pool) if part is not None)


SIZES = ("width", "layers", "pool")
"""The sizes that a search space offers to every family."""


def check_positive(branch: Branch, *names: str) -> None:
    """Raise BranchError when a field is not a whole number of at least 1."""
    for name in names:
        value = getattr(branch, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BranchError(f"{branch.kind}: {name} must be a whole number of at least 1, got {shortened(value)}")


def check_pool(branch: Branch, pool: str) -> None:
    """Raise BranchError when `pool` is no kind of pooling."""
    if pool not in POOLS:
        raise BranchError(f"{branch.kind}: pool must be one of {', '.join(POOLS)}, got {shortened(pool)}")


def check_classes(branch: Branch, num_classes: int) -> None:
    """Raise BranchError for a number of classes that no classifier has."""
    if num_classes < 1:
        raise BranchError(f"{branch.label()}: needs at least one class to answer with, got {num_classes}")

"""The contract of a branch: a frozen spec of a small classifier at a cut point."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import map_size, places_of
from eenas.errors import BranchError
from eenas.escaping import shortened

Pool = Literal["avg", "max", "mixed"]
POOLS: tuple[Pool, ...] = ("avg", "max", "mixed")


@dataclass(frozen=True, kw_only=True)
class Branch(ABC):
    """The structure of a branch, as data. The same spec at the same cut point is the same module in every design.

    A family is a frozen dataclass that derives from this class, has a default for each field, and sets

    - `kind`: its name in tables and search spaces. A user's family need not set it: its kind is the reference
      (`./file.py:Class`) that loaded it.
    - `sizes`: its fields among the sizes that families share ("width", "layers", "pool").
    - `needs_map`: whether it needs a map. Vectors, series, and tokens without a known grid, are then refused.
    - `needs_places`: whether it needs a map or a series, because its layers exist for both.

    The module that it builds maps features to logits. It may have an auxiliary loss and may read the logits of the
    previous exit (`eenas.branches.abilities`).

    Order of calls: `__post_init__` checks the fields; `check(shape)` checks that the branch fits the features;
    `build(shape, num_classes)` checks again and creates the module. `eenas.testing.branch_contract.check_branch` tests
    a family.
    """

    kind: ClassVar[str] = ""
    sizes: ClassVar[tuple[str, ...]] = ()
    needs_map: ClassVar[bool] = False
    needs_places: ClassVar[bool] = False

    @abstractmethod
    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """Return an untrained module from features [N, *feature_shape.dims] to logits [N, num_classes].

        Raises BranchError if the branch does not fit the features. With batch normalisation, training needs N of at
        least 2; evaluation works with any N.
        """

    def check(self, feature_shape: FeatureShape) -> None:
        """Raise BranchError if the branch does not fit features of this shape."""
        if self.needs_map:
            map_size(feature_shape, self.label())
        if self.needs_places:
            places_of(feature_shape, self.label())

    @property
    def is_open(self) -> bool:
        """Whether the structure is still to be found by a search. An open branch cannot be built."""
        return False

    def stand_in(self, feature_shape: FeatureShape) -> "Branch":
        """Return the branch whose MACs the cost cap checks: this one, or the simplest form of an open branch."""
        return self

    def to_table(self) -> dict[str, Any]:
        """Return the kind and all fields as JSON data. `branch_from_table` is the inverse."""
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)}}

    def label(self) -> str:
        """Return a short text such as "conv_fc 32", "conv_stack 2x32", "pool_fc mixed" or "MyBranch 16"."""
        width, layers, pool = (getattr(self, name) if name in self.sizes else None for name in SIZES)
        name = self.kind.rpartition(":")[2] or type(self).__name__
        channels = f"{layers}x{width}" if layers is not None and width is not None else width or layers
        return " ".join(str(part) for part in (name, channels, pool) if part is not None)


SIZES = ("width", "layers", "pool")
"""The sizes that a search space can draw for a family."""


def check_positive(branch: Branch, *names: str) -> None:
    """Raise BranchError unless the fields `names` are integers of at least 1."""
    for name in names:
        value = getattr(branch, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BranchError(f"{branch.kind}: {name} must be a whole number of at least 1, got {shortened(value)}")


def check_pool(branch: Branch, pool: str) -> None:
    """Raise BranchError for an unknown kind of pooling."""
    if pool not in POOLS:
        raise BranchError(f"{branch.kind}: pool must be one of {', '.join(POOLS)}, got {shortened(pool)}")


def check_classes(branch: Branch, num_classes: int) -> None:
    """Raise BranchError unless `num_classes` is at least 1."""
    if num_classes < 1:
        raise BranchError(f"{branch.label()}: num_classes must be at least 1, got {num_classes}")

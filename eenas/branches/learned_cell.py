"""The learned_cell branch: a small convolutional head; a search at the cut point finds its operations."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import nn

from eenas.backbones.features import FeatureShape
from eenas.branches.adapter import map_size
from eenas.branches.branch import Branch, check_classes, check_positive
from eenas.branches.cell import EDGES, OPERATIONS, CellHead, edge_strides, operation
from eenas.errors import BranchError, nearest
from eenas.escaping import shortened


@dataclass(frozen=True, kw_only=True)
class LearnedCell(Branch):
    """Conv 1x1 (to width), two operations of `cell.OPERATIONS` in sequence, ReLU, global average, Linear.

    The operations of DARTS (Liu, Simonyan and Yang 2019) in a chain instead of a graph. The first operation halves a
    map with a side above 8. Without `operations` the branch is open: it can be drawn and placed, but has no module and
    no costs until a search has found the operations; the cost cap then checks a cell of two poolings. Patch tokens are
    first arranged as a map.
    """

    kind: ClassVar[str] = "learned_cell"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    needs_map: ClassVar[bool] = True
    width: int = 32
    operations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the sizes and the operations."""
        check_positive(self, "width")
        if isinstance(self.operations, str) or not all(isinstance(name, str) for name in self.operations):
            raise BranchError(f"{self.kind}: operations must be a list of names, got {shortened(self.operations)}")
        object.__setattr__(self, "operations", tuple(self.operations))
        for name in self.operations:
            if name not in OPERATIONS:
                raise BranchError(f"{self.kind}: unknown operation {shortened(name)}; {nearest(name, OPERATIONS)}")
        if len(self.operations) not in (0, EDGES):
            got = ", ".join(map(repr, self.operations))
            raise BranchError(f"{self.kind}: there must be {EDGES} operations, or none in an open branch, got {got}")

    @property
    def is_open(self) -> bool:
        """Whether the operations are still to be found by a search."""
        return not self.operations

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`. Raises BranchError while the operations are open."""
        check_classes(self, num_classes)
        _, height, width = map_size(feature_shape, self.label())
        if self.is_open:
            raise BranchError(
                f"{self.label()}: an open branch cannot be built; set its operations, or search them first and build "
                "the branch found"
            )
        strides = edge_strides(height, width)
        edges = [operation(name, self.width, stride) for name, stride in zip(self.operations, strides, strict=True)]
        return CellHead(feature_shape, num_classes, self.width, edges, label=self.label())

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """Return the branch itself, or if it is open the cheapest cell: poolings cost no MACs."""
        return replace(self, operations=("avg_pool3",) * EDGES) if self.is_open else self

    def to_table(self) -> dict[str, Any]:
        """Return the kind and all fields as JSON data."""
        return {**super().to_table(), "operations": list(self.operations)}

    def label(self) -> str:
        """Return a short text such as "learned_cell 32" (open) or "learned_cell 32 sep_conv3+max_pool3"."""
        return " ".join((super().label(), *(("+".join(self.operations),) if self.operations else ())))

"""The learned_cell branch: a small convolutional head whose operations a search finds where it stands."""

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
    """Conv 1x1 (to width), two operations of `cell.OPERATIONS` one after another, a global average, Linear.

    The mixed operations of DARTS (Liu, Simonyan and Yang 2019) on a chain in place of its graph. The first operation
    halves a map with a side larger than 8. Without `operations` it is open: it can be drawn and placed, but neither
    built nor counted until a search has found them, and the cost cap looks at a cell of two poolings. Patch tokens are
    laid out as their square map first.
    """

    kind: ClassVar[str] = "learned_cell"
    sizes: ClassVar[tuple[str, ...]] = ("width",)
    needs_map: ClassVar[bool] = True
    width: int = 32
    operations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that no layer has, and operations that no cell has."""
        check_positive(self, "width")
        if isinstance(self.operations, str) or not all(isinstance(name, str) for name in self.operations):
            raise BranchError(f"{self.kind}: operations must be a list of names, got {shortened(self.operations)}")
        object.__setattr__(self, "operations", tuple(self.operations))
        for name in self.operations:
            if name not in OPERATIONS:
                raise BranchError(f"{self.kind}: unknown operation {shortened(name)}; {nearest(name, OPERATIONS)}")
        if len(self.operations) not in (0, EDGES):
            got = ", ".join(map(repr, self.operations))
            raise BranchError(f"{self.kind}: operations must be {EDGES}, or none while they are open, got {got}")

    @property
    def is_open(self) -> bool:
        """Whether its operations have yet to be found."""
        return not self.operations

    def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
        """See `Branch.build`. Raises BranchError while the operations are open."""
        check_classes(self, num_classes)
        _, height, width = map_size(feature_shape, self.label())
        if self.is_open:
            raise BranchError(f"{self.label()}: a search finds its operations; build what was found, or name them")
        strides = edge_strides(height, width)
        edges = [operation(name, self.width, stride) for name, stride in zip(self.operations, strides, strict=True)]
        return CellHead(feature_shape, num_classes, self.width, edges, what=self.label())

    def stand_in(self, feature_shape: FeatureShape) -> Branch:
        """Itself, or the cheapest cell while it is open: poolings cost no MACs."""
        return replace(self, operations=("avg_pool3",) * EDGES) if self.is_open else self

    def to_table(self) -> dict[str, Any]:
        """The kind and every field, as JSON data."""
        return {**super().to_table(), "operations": list(self.operations)}

    def label(self) -> str:
        """Short text such as "learned_cell 32" (open) or "learned_cell 32 sep_conv3+max_pool3"."""
        return " ".join((super().label(), *(("+".join(self.operations),) if self.operations else ())))

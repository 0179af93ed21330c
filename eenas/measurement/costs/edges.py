"""A cost of graph networks: the messages, one for each edge and message-passing layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from eenas.backbones.features import FeatureShape
from eenas.errors import MeasurementError, SpecError
from eenas.measurement.costs.cost import Cost
from eenas.measurement.profile import BranchCost, Profile


@dataclass(frozen=True, kw_only=True)
class EdgesCost(Cost):
    """The edges touched until an exit: `edges` for each message-passing layer; branches touch none.

    Each cut point of the backbone is taken to follow one more layer than the one before, as with `cut_points = "all"`.
    Raises SpecError for numbers out of range.
    """

    unit = "edges"
    provenance = "edges of a graph, once for each layer"
    edges: float
    """Mean number of edges of a graph."""
    layers: int | None = None
    """Message-passing layers of the whole backbone; by default as many as there are cut points."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.edges < 1e12 or (self.layers is not None and self.layers < 1):
            raise SpecError(f"edges must be positive and layers at least 1, got {self.edges} and {self.layers}")

    def prefixes(self, profile: Profile) -> Sequence[float]:
        """See `Cost.prefixes`. Raises MeasurementError for a backbone that does not pass messages."""
        count = len(profile.cut_points)
        if not all(point.shape.carried for point in profile.cut_points):
            raise MeasurementError("edges are a cost of networks for graphs, and this backbone is none; leave it out")
        layers = self.layers or count
        if layers < count:
            raise MeasurementError(f"layers must be at least the number of cut points, {count}, got {layers}")
        return [self.edges * (index + 1) for index in range(count)] + [self.edges * layers]

    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """See `Cost.branch`: 0."""
        return 0.0

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

    The layers until each cut point are counted while the network runs (`message_counts`). Raises SpecError for a number
    out of range.
    """

    unit = "edges"
    provenance = "edges of a graph, once for each layer"
    edges: float
    """Mean number of edges of a graph."""

    def __post_init__(self) -> None:
        """Check the number."""
        if not 0 < self.edges < 1e12:
            raise SpecError(f"edges must be positive and below 1e12, got {self.edges}")

    def prefixes(self, profile: Profile) -> Sequence[float]:
        """See `Cost.prefixes`. Raises MeasurementError for a backbone that does not pass messages."""
        if not any(profile.messages):
            raise MeasurementError(
                f"edges are a cost of networks for graphs, and {profile.backbone} has no message-passing layer "
                "(MessagePassing of torch_geometric, or MessageLayer of eenas); leave the cost out"
            )
        return [self.edges * count for count in profile.messages]

    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """See `Cost.branch`: 0."""
        return 0.0

"""The earliness of networks with exits in time: the share of a series that has been seen before an exit answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from eenas.backbones.features import FeatureShape
from eenas.measurement.costs.cost import Cost
from eenas.measurement.profile import BranchCost, Profile


@dataclass(frozen=True, kw_only=True)
class Earliness(Cost):
    """The share of the points of a series up to each cut point, in [0, 1]; branches wait for no further point.

    Of series of different length it is the share of the longest one. Studies on networks with exits in time have this
    cost without a table of their own.
    """

    unit: str = "of the series"
    provenance: str = "points of a series before the answer"

    def prefixes(self, profile: Profile) -> Sequence[float]:
        """See `Cost.prefixes`."""
        return [*(point.seen for point in profile.cut_points), 1.0]

    def branch(self, branch: BranchCost, shape: FeatureShape, profile: Profile) -> float:
        """See `Cost.branch`."""
        return 0.0


def has_exits_in_time(profile: Profile) -> bool:
    """Whether some cut point of a backbone is reached before the end of a series."""
    return any(point.seen < 1 for point in profile.cut_points)

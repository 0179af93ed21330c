"""A backbone as designs see it: its profile, classes and input, and the MACs of a branch on it."""

from dataclasses import dataclass

from eenas.designs.repair import BranchMacs
from eenas.measurement.profile import Profile
from eenas.tasks.inputs import InputSpec


@dataclass(frozen=True, kw_only=True)
class ProfiledBackbone:
    """The backbone that proposals are resolved on.

    `branch_macs(branch, shape)` counts the MACs of a branch for one sample and `num_classes`.
    """

    profile: Profile
    num_classes: int
    inputs: InputSpec
    branch_macs: BranchMacs

"""The times of a network on a tier: this machine's times a factor, a profile taken there, or a table."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from eenas import specs
from eenas.branches.branch import Branch
from eenas.errors import MeasurementError
from eenas.escaping import shortened
from eenas.measurement.costs.measured_table import FINAL, csv_values
from eenas.measurement.latency_profile import LatencyProfile, read_latency_profile
from eenas.measurement.profile import BranchCost, Profile
from eenas.measurement.tiers.part_times import PartTimes, part_times, reached_ms
from eenas.measurement.tiers.tiers import Tier

TierSource = LatencyProfile | dict[str, float] | None
"""The times of a tier: a profile, milliseconds by cut point, or None for a factor on this machine."""


@dataclass(frozen=True, kw_only=True)
class MeasuredNetwork:
    """A network whose parts were timed here: branches at the cut points `at` of a profile, the last exit behind them.

    `branches` are the specifications, `costs` their measured costs. A `static` network ends with its only branch.
    """

    profile: Profile
    at: tuple[int, ...]
    branches: tuple[Branch, ...]
    costs: tuple[BranchCost, ...]
    num_classes: int
    input_shape: tuple[int, ...]
    static: bool = False

    @property
    def cut_points(self) -> tuple[str, ...]:
        """The names [L - 1] of the cut points before its last exit."""
        points = self.profile.cut_points
        return tuple(point.name for point in (points[: self.at[0]] if self.static else points))

    @property
    def after(self) -> tuple[int, ...]:
        """The numbers [K] of segments before each exit."""
        return tuple(index + 1 for index in self.at) + (() if self.static else (len(self.profile.cut_points) + 1,))


def read_source(tier: Tier, folder: Path | None = None) -> TierSource:
    """Return the content of a tier's file, whose path is relative to `folder`, the study file's.

    Raises MeasurementError and SpecError for a file that is missing or holds something else.
    """
    if tier.profile:
        return read_latency_profile((folder or Path()) / tier.profile)
    if not tier.file:
        return None
    path = (folder or Path()) / tier.file
    values = csv_values(path) if path.suffix == ".csv" else specs.read_table(path)
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise MeasurementError(
                f"{path}: the time at {shortened(name)} must be milliseconds from 0 up, got {shortened(value)}"
            )
    return values


def tier_times(tier: Tier, source: TierSource, network: MeasuredNetwork) -> PartTimes:
    """Return the times of a network's parts on a tier with this `source`.

    Raises MeasurementError if a profile or a table is of another backbone, or has no time of a branch.
    """
    here = part_times(network.profile, network.at, network.costs, static=network.static)
    if source is None:
        return here.scaled(tier.factor)
    if isinstance(source, dict):
        end = network.profile.cut_points[network.at[0]].name if network.static else FINAL
        return here.reaching(reached_ms(source, (*network.cut_points, end), file=tier.file))
    source.check(network.profile, network.input_shape, network.num_classes)
    there = _at_cut_points(source, network.profile)
    return part_times(there, network.at, _branches_there(source, network), static=network.static)


def _at_cut_points(source: LatencyProfile, profile: Profile) -> Profile:
    """Return the profile of another machine with the cut points of the one here only."""
    there = source.profile
    kept = [there.index(point.name) for point in profile.cut_points]
    return replace(
        there,
        cut_points=profile.cut_points,
        macs=tuple(there.macs[index] for index in kept),
        parameters=tuple(there.parameters[index] for index in kept),
        latency_ms=tuple(there.latency_ms[index] for index in kept),
        joints=None if there.joints is None else there.joints.at(kept),
    )


def _branches_there(source: LatencyProfile, network: MeasuredNetwork) -> tuple[BranchCost, ...]:
    """Return the costs of the branches with their times on the other machine."""
    found = []
    for index, branch, cost in zip(network.at, network.branches, network.costs, strict=True):
        shape = network.profile.cut_points[index].shape
        latency = source.time_branch(branch, shape, network.num_classes, torch.device("cpu"), source.spec)
        found.append(replace(cost, latency=latency))
    return tuple(found)

"""The times of a network on a tier: this machine's times a factor, a profile taken there, or a table."""

from collections.abc import Sequence
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
    if isinstance(source, LatencyProfile):
        source.check(network.profile, network.input_shape, network.num_classes)
        names = [point.name for point in network.profile.cut_points]
        return profile_times(source, names, network.at, network.branches, static=network.static)
    here = part_times(network.profile, network.at, network.costs, static=network.static)
    if source is None:
        return here.scaled(tier.factor)
    end = network.profile.cut_points[network.at[0]].name if network.static else FINAL
    return here.reaching(reached_ms(source, (*network.cut_points, end), file=tier.file))


def profile_times(
    source: LatencyProfile, names: Sequence[str], at: Sequence[int], branches: Sequence[Branch], *, static: bool = False
) -> PartTimes:
    """Return the times on another machine with segments between the cut points `names`, `branches` behind those `at`.

    Raises CutError for an unknown cut point and MeasurementError for a branch without a time.
    """
    there = source.profile
    kept = [there.index(name) for name in names]
    points = tuple(there.cut_points[index] for index in kept)
    profile = replace(
        there,
        cut_points=points,
        macs=tuple(there.macs[index] for index in kept),
        parameters=tuple(there.parameters[index] for index in kept),
        latency_ms=tuple(there.latency_ms[index] for index in kept),
        joints=None if there.joints is None else there.joints.at(kept),
    )
    costs = []
    for index, branch in zip(at, branches, strict=True):
        shape = points[index].shape
        latency = source.time_branch(branch, shape, source.num_classes, torch.device("cpu"), source.spec)
        costs.append(BranchCost(macs=source.macs(branch, shape) or 0, parameters=0, latency=latency))
    return part_times(profile, at, costs, static=static)

"""A made-up network of three cut points with times, for tests of tiers."""

from collections.abc import Sequence
from dataclasses import replace

from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.branches.fc import Fc
from eenas.measurement.latency import Latency
from eenas.measurement.profile import BranchCost, Profile
from eenas.measurement.runtime import Joints
from eenas.measurement.tiers.tier_sources import MeasuredNetwork

SHAPE = FeatureShape((4, 2, 2))
JOINTS = Joints(cut_ms=(0.125, 9.0, 0.5), call_ms=0.25, entry_ms=0.0625)


def milliseconds(value: float, batch: int = 1) -> Latency:
    return Latency(
        median_ms=value,
        p95_ms=value,
        spread=0.0,
        repeats=3,
        device="CPU",
        runtime="eager",
        threads=1,
        batch=batch,
        dtype="float32",
    )


def timed_profile(prefixes: Sequence[float] = (1.0, 3.0, 6.0), joints: Joints | None = JOINTS) -> Profile:
    return Profile(
        backbone="made up",
        cut_points=tuple(CutPoint(name, SHAPE, True) for name in "abc"),
        macs=(100, 300, 600),
        total_macs=1000,
        parameters=(10, 20, 30),
        total_parameters=50,
        latency_ms=tuple(milliseconds(value) for value in prefixes),
        total_latency=milliseconds(10.0),
        plain_latency=milliseconds(10.0),
        decision=milliseconds(0.25),
        joints=joints,
    )


def branch(time: float | None) -> BranchCost:
    return BranchCost(macs=7, parameters=2, latency=None if time is None else milliseconds(time))


def measured(*, static: bool = False, joints: Joints | None = JOINTS) -> MeasuredNetwork:
    """Branches of 0.5 and 0.75 ms behind a and c, or a static network that ends behind b."""
    found = MeasuredNetwork(
        profile=timed_profile(joints=joints),
        at=(0, 2),
        branches=(Fc(), Fc()),
        costs=(branch(0.5), branch(0.75)),
        num_classes=5,
        input_shape=(3, 8, 8),
    )
    if not static:
        return found
    return replace(found, at=(1,), branches=(Fc(),), costs=(branch(0.5),), static=True)

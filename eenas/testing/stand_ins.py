"""Stand-ins for slow steps: a measured backbone, and the MACs of a branch."""

from collections.abc import Sequence

from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.branches.branch import Branch
from eenas.designs.profiled_backbone import ProfiledBackbone
from eenas.designs.repair import BranchMacs
from eenas.measurement.latency import Latency
from eenas.measurement.profile import Profile
from eenas.tasks.images.image_input import image_input

SHAPE = FeatureShape((32, 8, 8))
NINE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def stand_in_profile(
    shares: Sequence[float] = NINE, *, total: int = 10_000_000, shape: FeatureShape = SHAPE, latency: bool = True
) -> Profile:
    """Return the profile of an imaginary backbone with cut points `block1`, `block2`, ... at these shares of its MACs.

    All features have the same `shape`. With `latency`, each prefix takes one millisecond more than the previous one.
    """
    count = len(shares)
    measured = tuple(stand_in_latency(1.0 + index) for index in range(count)) if latency else ()
    return Profile(
        backbone="stand-in",
        cut_points=tuple(CutPoint(name=f"block{i + 1}", shape=shape, block_end=True) for i in range(count)),
        macs=tuple(round(share * total) for share in shares),
        total_macs=total,
        parameters=tuple(100 * (i + 1) ** 2 for i in range(count)),
        total_parameters=100 * (count + 1) ** 2,
        latency_ms=measured,
        total_latency=stand_in_latency(1.0 + count),
        plain_latency=stand_in_latency(1.0 + count),
        decision=stand_in_latency(0.01),
    )


def stand_in_macs(branch: Branch, shape: FeatureShape) -> int:
    """Return approximate MACs of a branch for ten classes. They grow with width and layers as in real branches."""
    sizes = branch.to_table()
    width, layers = int(sizes.get("width", 1)), int(sizes.get("layers", 1))
    if sizes["kind"] == "fc":
        return 10 * shape.elements
    if sizes["kind"] == "pool_fc":
        return 10 * 16 * shape.channels
    if sizes["kind"] == "mlp":
        return width * (shape.channels + 10)
    return 9 * shape.tokens // 4 * width * (shape.channels + (layers - 1) * width)


def stand_in_backbone(profile: Profile | None = None, branch_macs: BranchMacs = stand_in_macs) -> ProfiledBackbone:
    """Return a backbone of this profile for images of 32 x 32 in ten classes, as designs see it."""
    return ProfiledBackbone(
        profile=profile or stand_in_profile(), num_classes=10, inputs=image_input(32), branch_macs=branch_macs
    )


def stand_in_latency(milliseconds: float) -> Latency:
    """Return a made-up latency of `milliseconds`, without spread."""
    return Latency(
        median_ms=milliseconds,
        p95_ms=milliseconds,
        spread=0.0,
        repeats=20,
        device="CPU: none, 1 thread",
        runtime="eager",
        threads=1,
        batch=1,
        dtype="float32",
    )

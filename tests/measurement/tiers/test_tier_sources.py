"""Times of parts on each tier: they add up to the latency of each exit, scaled, looked up or read from a table."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.designs.design import Placed
from eenas.errors import MeasurementError, SpecError
from eenas.measurement.latency import LatencySpec
from eenas.measurement.latency_profile import LatencyProfile, TimedBranch, branch_key
from eenas.measurement.runtime import Joints
from eenas.measurement.tiers.part_costs import PartCosts
from eenas.measurement.tiers.part_times import PartTimes, part_times
from eenas.measurement.tiers.tier_sources import MeasuredNetwork, read_source, tier_times
from eenas.measurement.tiers.tiers import Tier
from eenas.networks.exit_costs import exit_costs
from tests.measurement.tiers.timed_network import JOINTS, SHAPE, branch, measured, milliseconds, timed_profile
from tests.smallest_networks import small_design


def alone(times: PartTimes, network: MeasuredNetwork) -> list[float]:
    """The time of leaving at each exit if all runs on one machine."""
    length = len(times.segments_ms)
    costs = PartCosts(
        segments=np.tile(times.segments_ms, (2, 1)),
        branches=np.tile(times.exits_ms, (2, 1)),
        hops=np.full((1, length + 1), 1e9),
        after=network.after,
    )
    return [times.entry_ms + each for each in costs.columns([[length]])[0].tolist()]


@pytest.mark.parametrize("joints", [JOINTS, None])
@pytest.mark.parametrize("static", [False, True])
def test_parts_add_up_to_the_latency_of_each_exit(static: bool, joints: Joints | None) -> None:
    network = measured(static=static, joints=joints)
    placed = tuple(
        Placed(cut_point=network.profile.cut_points[index].name, branch=each)
        for index, each in zip(network.at, network.branches, strict=True)
    )
    design = dataclasses.replace(small_design(*placed, num_classes=5), static=static)
    wanted = exit_costs(design, network.profile, network.costs).costs["latency"]
    assert alone(tier_times(Tier(name="edge"), None, network), network) == pytest.approx(wanted.tolist())
    slow = tier_times(Tier(name="edge", factor=10.0), None, network)
    assert alone(slow, network) == pytest.approx((10 * wanted).tolist())
    assert network.cut_points == (("a",) if static else ("a", "b", "c"))


def test_noise_never_makes_a_longer_way_faster() -> None:
    assert part_times(timed_profile((1.0, 3.0, 2.5), None), (), ()).segments_ms.tolist() == [1.0, 2.0, 0.0, 7.0]


def there(network: MeasuredNetwork, *, times: float = 4.0) -> LatencyProfile:
    """A profile of another machine, which is so much slower."""
    profile = network.profile
    assert profile.total_latency is not None
    return LatencyProfile(
        profile=dataclasses.replace(
            profile,
            latency_ms=tuple(milliseconds(times * each.median_ms) for each in profile.latency_ms),
            total_latency=milliseconds(times * profile.total_latency.median_ms),
        ),
        input_shape=network.input_shape,
        num_classes=network.num_classes,
        spec=LatencySpec(),
        conditions_there=["a board"],
        branches={branch_key(Fc(), SHAPE): TimedBranch(macs=7, latency=milliseconds(3.0))},
        cascade_ms=0.0,
        file="board.json",
    )


def test_a_profile_of_the_tier_is_looked_up(tmp_path: Path) -> None:
    network = measured(joints=None)
    there(network).save(tmp_path / "board.json")
    tier = Tier(name="edge", profile="board.json")
    found = tier_times(tier, read_source(tier, tmp_path), network)
    assert found.segments_ms.tolist() == [4.0, 8.0, 12.0, 16.0]
    assert found.exits_ms.tolist() == [3.25, 3.25, 0.0]


def test_further_cut_points_of_a_profile_are_left_out() -> None:
    network = measured()
    fewer = dataclasses.replace(
        network.profile,
        cut_points=network.profile.cut_points[1:],
        macs=network.profile.macs[1:],
        parameters=network.profile.parameters[1:],
        latency_ms=network.profile.latency_ms[1:],
        joints=JOINTS.at([1, 2]),
    )
    coarse = dataclasses.replace(network, profile=fewer, at=(0, 1))
    found = tier_times(Tier(name="edge", profile="board.json"), there(network), coarse)
    assert found.segments_ms.tolist() == [12.0, 12.0 + 9.0, 16.0 + 0.5]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"num_classes": 7}, "the number of classes: 5 in the profile, 7 here"),
        ({"input_shape": (3, 9, 9)}, "the input shape"),
        (
            {"profile": dataclasses.replace(timed_profile(), backbone="another")},
            "the backbone: made up .* another here",
        ),
        ({"branches": (Fc(), Mlp(width=16))}, "board.json: the profile has no latency of"),
    ],
)
def test_the_profile_of_another_network_is_refused(changed: dict[str, object], wrong: str) -> None:
    network = dataclasses.replace(measured(), **changed)  # type: ignore[arg-type]
    with pytest.raises(MeasurementError, match=wrong):
        tier_times(Tier(name="edge", profile="board.json"), there(measured()), network)


@pytest.mark.parametrize("name", ["edge.csv", "edge.toml"])
def test_a_table_gives_the_time_of_each_cut_point(tmp_path: Path, name: str) -> None:
    rows = {"a": 2.0, "b": 5.0, "c": 9.0, "final": 20.0, "elsewhere": 1.0}
    if name.endswith(".csv"):
        text = "cut_point,value\n" + "".join(f"{key},{value}\n" for key, value in rows.items())
    else:
        text = "".join(f"{key} = {value}\n" for key, value in rows.items())
    (tmp_path / name).write_text(text)
    tier = Tier(name="edge", file=name)
    found = tier_times(tier, read_source(tier, tmp_path), measured(joints=None))
    assert found.segments_ms.tolist() == [2.0, 3.0, 4.0, 11.0]
    assert found.exits_ms.tolist() == [1.5, 2.0, 0.0]  # the backbone takes twice as long as here
    static = tier_times(tier, read_source(tier, tmp_path), measured(static=True, joints=None))
    assert static.segments_ms.tolist() == [2.0, 3.0]


def test_tables_of_another_backbone_and_missing_files_are_refused(tmp_path: Path) -> None:
    tier = Tier(name="edge", file="edge.csv")
    with pytest.raises(SpecError, match="no such file"):
        read_source(tier, tmp_path)
    (tmp_path / "edge.csv").write_text("cut_point,value\na,1\nb,2\nfinal,3\n")
    with pytest.raises(MeasurementError, match=r"edge.csv: has no time of 'c'; .* a table of this backbone"):
        tier_times(tier, read_source(tier, tmp_path), measured())
    (tmp_path / "edge.csv").write_text("cut_point,value\na,-1\n")
    with pytest.raises(MeasurementError, match="the time at 'a' must be milliseconds from 0 up, got -1"):
        read_source(tier, tmp_path)
    with pytest.raises(MeasurementError, match="give a file that `eenas profile` wrote"):
        read_source(Tier(name="edge", profile="none.json"), tmp_path)


def test_times_must_be_measured_for_single_samples() -> None:
    untimed = dataclasses.replace(timed_profile(), latency_ms=(), total_latency=None)
    with pytest.raises(MeasurementError, match="tiers need the latency of made up"):
        part_times(untimed, (), ())
    with pytest.raises(MeasurementError, match="tiers need the latency of every branch"):
        part_times(timed_profile(), (0,), (branch(None),))
    batches = dataclasses.replace(timed_profile(), total_latency=milliseconds(10.0, batch=8))
    with pytest.raises(MeasurementError, match=r"got the latency of batches of 8; measure with latency.batch = 1"):
        part_times(batches, (), ())

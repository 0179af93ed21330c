"""A latency profile: written and read, looked up in place of timing, and refused where it is of something else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone
from eenas.branches.cascade import Cascade
from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.errors import MeasurementError
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.latency_profile import LatencyProfile, TimedBranch, branch_key, read_latency_profile
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.measurement.runtime import Joints
from tests.smallest_networks import loaded

CPU = torch.device("cpu")
SPEC = LatencySpec(warmup=1, min_repeats=2, max_repeats=2, seconds=0.1)
NAMES = ("0", "1", "2", "3")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return loaded()


@pytest.fixture(scope="module")
def taken(backbone: Backbone) -> LatencyProfile:
    chain = Chain.built_from(backbone.module, backbone.example(), NAMES)
    profile = profile_backbone(backbone, chain, device=CPU, latency=SPEC)
    shape = profile.cut_points[1].shape
    times = {Fc(): 0.5, Mlp(width=16): 0.75}
    branches = {branch_key(each, shape): TimedBranch(macs=7, latency=latency(time)) for each, time in times.items()}
    branches[branch_key(Mlp(width=32), shape)] = TimedBranch(macs=9, latency=None)
    return LatencyProfile(
        profile=replace(profile, joints=Joints(cut_ms=(0.1, 0.2, 0.3, 0.4), call_ms=0.01, entry_ms=0.02)),
        input_shape=(3, 8, 8),
        num_classes=4,
        spec=SPEC,
        conditions_there=["a board", "2.0"],
        branches=branches,
        cascade_ms=0.125,
        file="board.json",
    )


def latency(milliseconds: float) -> Latency:
    return Latency(
        median_ms=milliseconds,
        p95_ms=milliseconds,
        spread=0.0,
        repeats=3,
        device="a board",
        runtime="onnxruntime 1.0, one program",
        threads=1,
        batch=1,
        dtype="float32",
    )


def test_it_comes_back_from_its_file_with_the_same_digest(taken: LatencyProfile, tmp_path: Path) -> None:
    taken.save(tmp_path / "p.json")
    found = read_latency_profile(tmp_path / "p.json")
    assert found.to_table() == taken.to_table()
    assert found.digest == taken.digest
    assert replace(taken, cascade_ms=0.25).digest != taken.digest


def test_what_is_asked_for_is_looked_up(
    taken: LatencyProfile, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eenas.measurement.rounds.Rounds.measure", None)  # nothing may be timed
    chain = Chain.built_from(backbone.module, backbone.example(), ("0", "2"))
    found = profile_backbone(backbone, chain, device=CPU, latency=SPEC, runtime=taken)
    there = taken.profile
    assert found.latency_ms == (there.latency_ms[0], there.latency_ms[2])
    assert found.joints == Joints(cut_ms=(0.1, 0.3), call_ms=0.01, entry_ms=0.02)
    assert found.total_latency == there.total_latency
    shape = there.cut_points[1].shape
    cost = measure_branch(Cascade(branch=Fc()), shape, 4, device=CPU, latency=SPEC, runtime=taken)
    assert cost.latency == latency(0.625)
    assert (taken.macs(Mlp(width=32), shape), taken.find(Mlp(width=32), shape)) == (9, None)
    for branch, where in ((Mlp(width=32), shape), (Fc(), FeatureShape((16, 2, 2)))):
        with pytest.raises(
            MeasurementError, match=r"board.json: the profile has no latency of .*; rerun `eenas profile`"
        ):
            taken.time_branch(branch, where, 4, CPU, SPEC)


def test_a_profile_of_something_else_is_refused(taken: LatencyProfile, backbone: Backbone) -> None:
    def counted(names: tuple[str, ...] = NAMES) -> Any:
        chain = Chain.built_from(backbone.module, backbone.example(), names)
        return profile_backbone(backbone, chain, device=CPU, latency=None)

    taken.check(counted(), (3, 8, 8), 4)
    taken.check(counted(("1", "3")), (3, 8, 8), 4)
    with pytest.raises(MeasurementError, match=r"the number of classes: 4 in the profile, 10 here; profile this"):
        taken.check(counted(), (3, 8, 8), 10)
    with pytest.raises(MeasurementError, match=r"the input shape: \[3, 8, 8\] in the profile, \[3, 32, 32\] here"):
        taken.check(counted(), (3, 32, 32), 4)
    with pytest.raises(MeasurementError, match="the backbone: "):
        taken.check(replace(counted(), backbone="another"), (3, 8, 8), 4)
    with pytest.raises(MeasurementError, match="MACs up to '0': "):
        taken.check(replace(counted(), macs=(1, 2, 3, 4)), (3, 8, 8), 4)
    few = replace(taken, profile=counted(("0", "1")))
    with pytest.raises(MeasurementError, match=r"MACs up to '2': no such cut point in .*backbone.cut_points"):
        few.check(counted(), (3, 8, 8), 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "this eenas reads format 1, got 2; write it again"),
        ({"kind": "another"}, "not a latency profile of eenas"),
        ({"branches": {"fc": {}}}, r"damaged \(\[branches.fc\]: the key 'macs' is missing"),
        ({"profile": {"latency_ms": []}}, r"damaged \(not every cut point has a time\)"),
    ],
)
def test_a_broken_or_newer_file_is_refused(
    taken: LatencyProfile, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    table = taken.to_table()
    for key, value in change.items():
        table[key] = {**table[key], **value} if key == "profile" else value
    path = tmp_path / "p.json"
    path.write_text(json.dumps(table))
    with pytest.raises(MeasurementError, match=rf"p\.json: {message}"):
        read_latency_profile(path)
    path.write_text(path.read_text()[:-10])
    with pytest.raises(MeasurementError, match=r"not valid JSON.*eenas profile"):
        read_latency_profile(path)
    with pytest.raises(MeasurementError, match=r"none.json: cannot be read \(No such file"):
        read_latency_profile(tmp_path / "none.json")

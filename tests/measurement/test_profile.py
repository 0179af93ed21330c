"""The profile against counts and sums made by hand, and its cache against measuring again."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.branch import Branch
from eenas.branches.conv_fc import ConvFc
from eenas.branches.fc import Fc
from eenas.branches.registry import FAMILIES
from eenas.errors import BranchError, CutError, MeasurementError
from eenas.measurement import torch_runtime
from eenas.measurement.latency import LatencySpec
from eenas.measurement.macs import count_macs, count_parameters
from eenas.measurement.profile import MemoryCache, Profile, measure_branch, profile_backbone

CPU = torch.device("cpu")
QUICK = LatencySpec(warmup=1, min_repeats=2, max_repeats=3, seconds=0.1)
SHAPE = FeatureShape((8, 8, 8))


class CountingCache(MemoryCache):
    """A cache that tells what was put into it, after a way through JSON like that of a database."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[str] = []

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        self.puts.append(key)
        return super().put(key, json.loads(json.dumps(value)))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)),
    )
    return load_backbone(module, num_classes=5, input_size=16)


@pytest.fixture(scope="module")
def chain(backbone: Backbone) -> Chain:
    return Chain.built_from(backbone.module, backbone.example(), ["0", "1", "2"])


@pytest.fixture(scope="module")
def measured(backbone: Backbone, chain: Chain) -> Profile:
    return profile_backbone(backbone, chain, device=CPU, latency=QUICK)


def test_macs_and_parameters_are_cumulative(measured: Profile, backbone: Backbone) -> None:
    first, second, third = 3 * 4 * 9 * 16**2, 4 * 8 * 9 * 8**2, 8 * 16 * 9 * 4**2
    assert [point.name for point in measured.cut_points] == ["0", "1", "2"]
    assert measured.macs == (first, first + second, first + second + third)
    assert measured.total_macs == first + second + third + 16 * 5 + 5
    assert measured.total_macs == count_macs(backbone.module, backbone.example(1))
    assert measured.parameters[0] == 3 * 4 * 9 + 8
    assert measured.parameters[2] + 16 * 5 + 5 == measured.total_parameters == count_parameters(backbone.module)


def test_every_prefix_the_whole_the_module_and_a_decision_are_timed(measured: Profile) -> None:
    timed = [*measured.latency_ms, measured.total_latency, measured.plain_latency, measured.decision]
    assert len(timed) == 3 + 3
    for found in timed:
        assert found is not None
        assert found.median_ms > 0
        assert (found.batch, found.threads, found.dtype) == (1, 1, "float32")
        assert found.device.startswith("CPU: ")
        assert f"torch {torch.__version__}" in found.runtime


def test_shares(measured: Profile) -> None:
    shares = [measured.share(i, "macs") for i in range(3)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(measured.macs[0] / measured.total_macs)
    assert measured.share(1, "parameters") == pytest.approx(measured.parameters[1] / measured.total_parameters)
    assert all(0 < measured.share(i, "latency") <= 1 for i in range(3))
    untimed = replace(measured, latency_ms=(), total_latency=None)
    with pytest.raises(MeasurementError, match="was not measured"):
        untimed.share(0, "latency")
    with pytest.raises(MeasurementError, match="unknown metric 'mac'; nearest: 'macs'"):
        measured.share(0, "mac")  # type: ignore[arg-type]


def test_index_names_the_nearest(measured: Profile) -> None:
    assert measured.index("1") == 1
    with pytest.raises(CutError, match="no cut point '7'; known: '0', '1', '2'"):
        measured.index("7")


def test_tables_come_back(measured: Profile, backbone: Backbone, chain: Chain) -> None:
    assert Profile.from_table(json.loads(json.dumps(measured.to_table()))) == measured
    bare = profile_backbone(backbone, chain, device=CPU, latency=None)
    assert (bare.latency_ms, bare.total_latency, bare.plain_latency, bare.decision) == ((), None, None, None)
    assert Profile.from_table(json.loads(json.dumps(bare.to_table()))) == bare
    with pytest.raises(MeasurementError, match="not a profile"):
        Profile.from_table({"backbone": "x"})


def test_latency_is_kept_by_what_was_measured_and_how(
    backbone: Backbone, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CountingCache()
    first = profile_backbone(backbone, chain, device=CPU, latency=QUICK, cache=cache)
    assert profile_backbone(backbone, chain, device=CPU, latency=QUICK, cache=cache) == first
    assert len(cache.puts) == 1
    profile_backbone(backbone, chain, device=CPU, latency=replace(QUICK, batch=2), cache=cache)
    assert len(cache.puts) == 2
    shorter = Chain.built_from(backbone.module, backbone.example(), ["1"])
    profile_backbone(backbone, shorter, device=CPU, latency=QUICK, cache=cache)
    assert len(cache.puts) == 3
    monkeypatch.setattr(torch_runtime, "device_name", lambda device: "another device")
    profile_backbone(backbone, chain, device=CPU, latency=QUICK, cache=cache)
    assert len(cache.puts) == 4


def test_measuring_changes_neither_module_nor_random_state(backbone: Backbone, chain: Chain) -> None:
    backbone.module.train()
    kept = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    before = torch.get_rng_state()
    profile_backbone(backbone, chain, device=CPU, latency=QUICK)
    measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert backbone.module.training
    assert all(torch.equal(value, kept[name]) for name, value in backbone.module.state_dict().items())


def test_a_chain_of_other_cut_points_is_refused(backbone: Backbone, chain: Chain) -> None:
    with pytest.raises(CutError, match="has no cut point '0'"):
        profile_backbone(replace(backbone, all_cut_points=()), chain, device=CPU, latency=None)


def test_a_branch_costs_its_counts_and_time() -> None:
    branch = ConvFc(width=4)
    cost = measure_branch(branch, SHAPE, 5, device=CPU, latency=QUICK)
    module = branch.build(SHAPE, 5)
    assert (cost.macs, cost.parameters) == (count_macs(module, SHAPE), count_parameters(module))
    assert cost.latency is not None
    assert cost.latency.median_ms > 0
    assert measure_branch(branch, SHAPE, 5, device=CPU, latency=None).latency is None
    with pytest.raises(BranchError, match="needs a map"):
        measure_branch(branch, FeatureShape((8,)), 5, device=CPU, latency=None)


def test_reduced_precision_is_timed_under_autocast() -> None:
    spec = replace(QUICK, dtype="bfloat16")
    cost = measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=spec)
    assert cost.latency is not None
    assert cost.latency.dtype == "bfloat16"


def test_branches_are_kept_by_structure_shape_and_conditions() -> None:
    cache = CountingCache()
    first = measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=None, cache=cache)
    assert measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=None, cache=cache) == first
    assert len(cache.puts) == 1
    timed = measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=QUICK, cache=cache)
    assert measure_branch(ConvFc(width=4), SHAPE, 5, device=CPU, latency=QUICK, cache=cache) == timed
    assert len(cache.puts) == 2, "counts and times are kept apart"
    for branch, shape, classes in (
        (ConvFc(width=5), SHAPE, 5),
        (Fc(), SHAPE, 5),
        (ConvFc(width=4), FeatureShape((8, 8, 8), channels_last=True), 5),
        (ConvFc(width=4), SHAPE, 6),
    ):
        measure_branch(branch, shape, classes, device=CPU, latency=None, cache=cache)
    assert len(cache.puts) == len(set(cache.puts)) == 6


def test_a_family_of_the_user_is_measured_again_when_its_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Own(Branch):
        """A family outside eenas."""

        kind = "./own.py:Own"

        def build(self, feature_shape: FeatureShape, num_classes: int) -> nn.Module:
            return Fc().build(feature_shape, num_classes)

    assert Own.kind not in FAMILIES
    file = tmp_path / "own.py"
    monkeypatch.setattr("inspect.getfile", lambda cls: str(file))
    cache = CountingCache()
    for text in ("one", "one", "two"):
        file.write_text(text)
        measure_branch(Own(), SHAPE, 5, device=CPU, latency=None, cache=cache)
    assert len(cache.puts) == 2


def test_what_a_cache_gives_is_not_shared() -> None:
    cache = MemoryCache()
    cache.put("a", {"list": [1]})
    found = cache.get("a")
    assert found is not None
    found["list"].append(2)
    assert cache.get("a") == {"list": [1]}
    assert cache.get("b") is None

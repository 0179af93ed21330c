"""The contract tests of a runtime: its conditions and its times."""

import json
from typing import ClassVar

import torch

from eenas.backbones.chain import Chain
from eenas.backbones.copies import copy_of
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.runtime import BackboneTimes, Runtime
from eenas.seeding import seeded
from eenas.study.context.runtimes import RUNTIMES, runtime_named
from eenas.testing.named import home_of
from eenas.testing.smallest import SIZE, smallest_backbone

CPU = torch.device("cpu")
QUICK = LatencySpec(runtime="torch", warmup=1, min_repeats=3, max_repeats=5, seconds=0.05)
BRANCH = PoolFc(pool="avg", size=1)


class RuntimeContract:
    """A pytest class for a runtime. Derive from it and set `runtime`.

        class TestMine(RuntimeContract):
            runtime = "./board.py:Board"

    It times the smallest backbone of eenas on `device`.
    """

    runtime: ClassVar[str]
    device: ClassVar[torch.device] = CPU

    def test_its_conditions(self) -> None:
        """Conditions are JSON data, are the same each time, and change with the specification."""
        check_conditions(self.made(), self.device)

    def test_it_times_a_backbone(self) -> None:
        """Each cut point, the whole and a decision have a time; backbone, chain and random state do not change."""
        check_backbone_times(self.made(), self.device)

    def test_it_times_a_branch(self) -> None:
        """The time is positive, and the random state does not change."""
        check_branch_time(self.made(), self.device)

    def made(self) -> Runtime:
        """Return the runtime for the smallest backbone. Each call returns a new one."""
        RUNTIMES.find(self.runtime, trust_code=True, relative_to=home_of(self))
        return runtime_named(self.runtime, _backbone(), self.device)


def check_conditions(runtime: Runtime, device: torch.device = CPU) -> None:
    """Check the conditions that identify stored measurements. Raises AssertionError with the violated rule."""
    found = runtime.conditions(device, QUICK)
    assert json.loads(json.dumps(found, allow_nan=False)) == found, f"conditions must be plain JSON data, got {found!r}"
    assert runtime.conditions(device, QUICK) == found, "conditions must be the same each time"
    other = LatencySpec(runtime="torch", batch=2)
    assert runtime.conditions(device, other) != found, "conditions must differ between specifications"


def check_backbone_times(runtime: Runtime, device: torch.device = CPU) -> BackboneTimes:
    """Check the times of a backbone. Raises AssertionError with the violated rule."""
    backbone = _backbone()
    names = [point.name for point in backbone.cut_points]
    chain = Chain.built_from(copy_of(backbone.module), backbone.example(), names)
    before, state = backbone.digest, torch.random.get_rng_state()
    found = runtime.time_backbone(backbone, chain, device, QUICK)
    assert backbone.digest == before, "timing must not change the backbone"
    assert torch.equal(torch.random.get_rng_state(), state), "timing must leave the random state alone"
    assert len(found.prefixes) == len(names), f"each of {len(names)} cut points needs a time, got {len(found.prefixes)}"
    for latency in (*found.prefixes, found.whole, found.plain):
        _check_time(latency)
    assert found.decision.median_ms >= 0, f"a decision must take at least 0 ms, got {found.decision.median_ms}"
    if found.joints is not None:
        cuts = len(found.joints.cut_ms)
        assert cuts == len(names), f"joints need a time for each of {len(names)} cut points, got {cuts}"
    return found


def check_branch_time(runtime: Runtime, device: torch.device = CPU) -> Latency:
    """Check the time of a branch. Raises AssertionError with the violated rule."""
    backbone = _backbone()
    state = torch.random.get_rng_state()
    found = runtime.time_branch(BRANCH, backbone.cut_points[0].shape, backbone.num_classes, device, QUICK)
    assert torch.equal(torch.random.get_rng_state(), state), "timing must leave the random state alone"
    _check_time(found)
    return found


def _check_time(latency: Latency) -> None:
    assert latency.median_ms > 0, f"a time must be positive, got {latency.median_ms} ms"
    assert latency.p95_ms >= latency.median_ms, (
        f"p95 ({latency.p95_ms} ms) is below the median ({latency.median_ms} ms)"
    )
    assert latency.repeats >= 1, "a time needs at least one run"
    assert latency.device, "a time needs the name of its device"
    assert latency.runtime, "a time needs the name of its runtime"


def _backbone() -> Backbone:
    with seeded(0):
        return load_backbone(smallest_backbone(), num_classes=4, input_size=SIZE)

"""Branch times held against the backbone: retried, put right by the backbone beside them, marked, and said once."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.features import FeatureShape
from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.branch import Branch
from eenas.branches.fc import Fc
from eenas.measurement.checked import SLOW, CheckedRuntime
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.profile import Profile, profile_backbone
from eenas.measurement.rounds import RETRIES
from eenas.measurement.runtime import BackboneTimes
from eenas.progress import Event, Notice

CPU, SPEC, SHAPE = torch.device("cpu"), LatencySpec(), FeatureShape((8, 4, 4))


def latency(median: float, reference: float | None = 10.0, *, doubtful: bool = False) -> Latency:
    return Latency(
        median_ms=median, p95_ms=median, spread=0.0, repeats=9, device="CPU", runtime="torch", threads=1, batch=1,
        dtype="float32", low_ms=median, high_ms=2 * median, reference_ms=reference, doubtful=doubtful,
    )  # fmt: skip


class Told:
    """A runtime that gives the times that it is told, one after another."""

    def __init__(self, *times: Latency) -> None:
        self.times = list(times)

    def conditions(self, device: torch.device, spec: LatencySpec) -> list[Any]:
        return ["told"]

    def time_backbone(self, backbone: Backbone, chain: Chain, device: torch.device, spec: LatencySpec) -> BackboneTimes:
        each = latency(10.0)
        return BackboneTimes(prefixes=(each,), whole=each, plain=each, decision=latency(0.1))

    def time_branch(
        self, branch: Branch, shape: FeatureShape, num_classes: int, device: torch.device, spec: LatencySpec
    ) -> Latency:
        return self.times.pop(0)


@pytest.fixture(scope="module")
def profile() -> Profile:
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)))
    backbone = load_backbone(nn.Sequential(*layers), num_classes=4, input_size=16)
    chain = Chain.built_from(backbone.module, backbone.example(), ["0"])
    return profile_backbone(backbone, chain, device=CPU, latency=SPEC, runtime=Told())


def checked(profile: Profile, *times: Latency) -> tuple[Latency, list[Event], int]:
    """What is kept, what is said, and how many of the times were not asked for."""
    said: list[Event] = []
    told = Told(*times)
    found = CheckedRuntime(told, profile, said.append).time_branch(Fc(), SHAPE, 4, CPU, SPEC)
    return found, said, len(told.times)


def test_a_time_in_quiet_is_believed_at_once(profile: Profile) -> None:
    good = latency(1.0, 10.0 * SLOW)
    assert checked(profile, good, latency(2.0)) == (good, [], 1)


@pytest.mark.parametrize(
    "wrong", [latency(3.0, 30.0), latency(1.0, doubtful=True), latency(36.0)], ids=["slow", "doubtful", "dearer"]
)
def test_a_time_that_cannot_be_is_taken_again(profile: Profile, wrong: Latency) -> None:
    good = latency(1.0)
    assert checked(profile, wrong, good) == (good, [], 0)


def test_a_branch_with_more_macs_than_the_backbone_may_take_longer(profile: Profile) -> None:
    few = replace(profile, total_macs=3)
    dear = latency(36.0)
    assert checked(few, dear) == (dear, [], 0)


def test_what_stays_doubtful_is_put_right_marked_and_said(profile: Profile) -> None:
    found, said, left = checked(profile, *[latency(3.0 + turn, 20.0) for turn in range(RETRIES + 1)])
    assert left == 0
    assert (found.median_ms, found.doubtful, found.interval) == (1.5, True, "1.5 to 6 ms")
    (notice,) = said
    assert isinstance(notice, Notice)
    assert "this machine is busy; fc takes 1.5 to 6 ms" in notice.text
    assert "--remeasure" in notice.text


def test_it_is_said_once(profile: Profile) -> None:
    said: list[Event] = []
    doubtful = [latency(1.0, doubtful=True)] * 2 * (RETRIES + 1)
    runtime = CheckedRuntime(Told(*doubtful), profile, said.append)
    for _ in range(2):
        assert runtime.time_branch(Fc(), SHAPE, 4, CPU, SPEC).doubtful
    assert len(said) == 1


def test_a_doubtful_backbone_is_said_too(profile: Profile) -> None:
    said: list[Event] = []
    CheckedRuntime(Told(), replace(profile, total_latency=latency(9.0, doubtful=True)), said.append)
    assert [isinstance(each, Notice) and "the backbone takes 9 to 18 ms" in each.text for each in said] == [True]
    CheckedRuntime(Told(), profile, said.append)
    assert len(said) == 1

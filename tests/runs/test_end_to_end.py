"""End-to-end latency of each exit: what runs while the watch is held, and under which conditions."""

from dataclasses import replace

import pytest
import torch

from eenas.measurement.latency import LatencySpec
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.runs.end_to_end import end_to_end, programs_end_to_end

from ..exported import smallest_package

SPEC = LatencySpec(runtime="torch", batch=3, threads=2, warmup=1, min_repeats=2, max_repeats=2, seconds=60.0)


@pytest.fixture(autouse=True)
def counted_runs(monkeypatch):
    """Nothing is timed again, however busy the machine is."""
    monkeypatch.setattr("eenas.measurement.rounds.RETRIES", 0)
    monkeypatch.setattr("eenas.measurement.rounds.PATIENCE", 1)
    monkeypatch.setattr("eenas.measurement.rounds.WARM", 1)


@pytest.fixture
def network():
    return smallest_package().network


def measure(network):
    return end_to_end(network, torch.randn(3, 3, 8, 8), device=torch.device("cpu"), spec=SPEC)


def test_everybody_leaves_at_the_exit_that_is_measured(network, monkeypatch):
    predict, left = EarlyExitNetwork.predict, []

    def heard(self, x, policy=None):
        found = predict(self, x, policy)
        left.append(set(found.exits.tolist()))
        return found

    monkeypatch.setattr(EarlyExitNetwork, "predict", heard)
    found = measure(network)
    assert left == ([{0}] * 2 + [{1}] * 2 + [{2}] * 2) * 3  # in turns; one round that warms up, two that count
    assert [(each.batch, each.threads, each.dtype) for each in found] == [(3, 2, "float32")] * 3
    assert all(each.repeats >= 1 for each in found)  # of two, where the machine is busy


def test_every_decision_on_the_way_is_made(network, monkeypatch):
    decide, made = ThresholdPolicy.decide, []

    def heard(self, k, logits, state):
        assert self.thresholds[k : k + 1] != (None,)  # None would decide without a score
        made.append(k)
        return decide(self, k, logits, state)

    monkeypatch.setattr(ThresholdPolicy, "decide", heard)
    measure(network)
    assert made == ([0] * 2 + [0, 1] * 2 + [0, 1, 2] * 2) * 3


def test_scores_that_are_certain_let_nobody_leave_before(network):
    with torch.no_grad():
        for parameter in network.branches.parameters():
            parameter.mul_(1e5)
    seen = []
    network.branches.at("2").register_forward_hook(lambda *_: seen.append(1))
    measure(network)
    assert len(seen) == 12  # of 18 runs those that go on to the second branch


def test_the_programs_are_timed_where_they_are_what_runs(network):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    spec = replace(SPEC, runtime="onnxruntime", batch=1, threads=1)
    network.policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5))
    network.train()
    found, answer = programs_end_to_end(network, torch.randn(4, 3, 8, 8), device=torch.device("cpu"), spec=spec)
    assert len(found) == len(network.exits)
    assert all(each.runtime.startswith("onnxruntime ") for each in found)
    assert answer > 0
    assert network.training  # a copy was exported
    network.policy = None
    assert programs_end_to_end(network, torch.randn(4, 3, 8, 8), device=torch.device("cpu"), spec=spec)[1] is None

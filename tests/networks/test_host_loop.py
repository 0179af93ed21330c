"""The loop of predict without its programs: how many run, and that every decision is made."""

import pytest
import torch

from eenas.measurement.latency import LatencySpec
from eenas.measurement.rounds import Rounds
from eenas.measurement.runtime import DECISIONS, host_times
from eenas.networks.host_loop import predict_loop
from eenas.policies.kinds.threshold import ThresholdPolicy

from ..measurement.test_rounds import Clock

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch", [1, 3])
def test_each_decision_comes_after_a_program(batch, monkeypatch):
    decide, made, ran = ThresholdPolicy.decide, [], []

    def heard(self, k, logits, state):
        made.append((k, len(ran)))
        return decide(self, k, logits, state)

    monkeypatch.setattr(ThresholdPolicy, "decide", heard)
    one, several = predict_loop(10, CPU, batch, lambda: ran.append(1))
    one()
    assert made == [(0, 1)]
    made.clear()
    ran.clear()
    several()
    assert made == [(k, k + 1) for k in range(DECISIONS)]


def test_what_the_programs_take_is_taken_off(monkeypatch):
    clock = Clock.installed(monkeypatch)
    decide, start = ThresholdPolicy.decide, ThresholdPolicy.start
    takes = {"decide": clock.run(lambda n: 0.002), "start": clock.run(lambda n: 0.005)}
    monkeypatch.setattr(ThresholdPolicy, "decide", lambda *given: (takes["decide"](), decide(*given))[1])
    monkeypatch.setattr(ThresholdPolicy, "start", lambda *given: (takes["start"](), start(*given))[1])
    spec = LatencySpec(warmup=1, min_repeats=5, max_repeats=5, seconds=1e6)
    rounds = Rounds(device=CPU, spec=spec, host_clock=True)
    entry, decision = host_times(predict_loop, rounds, 10, program=clock.run(lambda n: 1.0), runtime="torch")
    assert entry == pytest.approx(5.0)
    assert decision.median_ms == pytest.approx(2.0)

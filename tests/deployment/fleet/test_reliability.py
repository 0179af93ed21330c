"""Edge inference outage and missed deadlines, on outcomes whose probabilities are known."""

import dataclasses

import numpy as np
import pytest

from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.reliability import BATCH, reliability
from eenas.deployment.fleet.sample_decisions import SampleDecisions
from eenas.deployment.fleet.simulator import simulate_fleet
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError


@pytest.fixture(scope="module")
def outcome():
    random = np.random.default_rng(0)
    taken = SampleDecisions(
        exits=random.integers(2, size=500), right=np.arange(500) % 10 < 8, right_on_device=np.zeros(500, bool)
    )
    times = SplitTimes(device_ms=(4.0,), cut_ms=5.0, sent_bytes=1000, server_ms=(1.0,))
    return simulate_fleet(times, taken, Fleet(devices=10, seconds=100, seed=1))


def test_batches_fall_short_as_often_as_a_slow_count_says(outcome):
    random, short, missed = np.random.default_rng([7, 5]), 0, 0
    count = len(outcome) // BATCH
    mean = float(outcome.latency_ms.mean())
    for _ in range(100):
        order = random.permutation(len(outcome))
        for number in range(count):
            batch = order[number * BATCH : (number + 1) * BATCH].tolist()
            here = [outcome.right[each] for each in batch if outcome.on_device[each]]
            short += sum(here) / len(here) < 0.8
            late = sum(outcome.latency_ms[each] for each in batch) / BATCH > mean
            missed += late or sum(outcome.right[each] for each in batch) / BATCH < 0.8
    found = reliability(outcome, 0.8, mean, seed=7)
    assert found.outage == pytest.approx(short / (100 * count))
    assert found.missed_deadline == pytest.approx(missed / (100 * count))
    assert 0.1 < found.outage < found.missed_deadline < 1


def test_targets_that_are_always_and_never_reached(outcome):
    assert reliability(outcome, 0.0, 1e6) == dataclasses.replace(
        reliability(outcome, 0.0, 1e6), outage=0.0, missed_deadline=0.0
    )
    assert reliability(outcome, 1.0, 1e6).outage == 1.0
    assert reliability(outcome, 0.0, 0.1).missed_deadline == 1.0
    nobody = dataclasses.replace(outcome, on_device=np.zeros(len(outcome), bool))
    assert reliability(nobody, 1.0, 1e6).outage == 0.0


def test_targets_out_of_range_and_too_few_samples_are_refused(outcome):
    for accuracy, target in ((1.5, 10.0), (0.5, 0.0), (float("nan"), 1.0)):
        with pytest.raises(SimulationError, match="target"):
            reliability(outcome, accuracy, target)
    fields = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    short = {name: each[:255] if isinstance(each, np.ndarray) else each for name, each in fields.items()}
    with pytest.raises(SimulationError, match="simulate more seconds"):
        reliability(type(outcome)(**short), 0.5, 10.0)

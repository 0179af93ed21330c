"""A controller on each device: it learns from its own samples, in their order."""

import numpy as np
import pytest

from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.controlled_devices import ControlledDevices
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.simulator import simulate_fleet
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.replayed import answered_correctly, replay
from eenas.testing.controller_contract import random_confidences

RECORDING = Recording(
    name="random",
    confidences=random_confidences(3, 300),
    exits=("a", "b", "final"),
    correct=np.random.default_rng(0).random((300, 3)) < (0.6, 0.8, 0.9),
)
OWNERS = np.array([0] * 50 + [2] * 80)
SAMPLES = np.random.default_rng(1).integers(300, size=130)


def test_each_device_replays_its_own_samples():
    found = ControlledDevices(kind=AdaEE(), recording=RECORDING, on_device=1).of(OWNERS, SAMPLES)
    for device, part in ((0, slice(0, 50)), (2, slice(50, 130))):
        seed = int(np.random.default_rng([0, 7, device]).integers(2**31))
        wanted = replay(Controller(AdaEE(), RECORDING.controlled(), seed=seed), RECORDING, SAMPLES[part])
        np.testing.assert_array_equal(found.exits[part], wanted.exits)
    every = np.broadcast_to(np.arange(3), RECORDING.correct.shape)
    right = answered_correctly(RECORDING, every, AdaEE.final_rule)
    np.testing.assert_array_equal(found.right, right[SAMPLES, found.exits])
    np.testing.assert_array_equal(found.right_on_device, RECORDING.correct[SAMPLES, 0])
    assert len(set(found.exits.tolist())) > 1


def test_a_fleet_of_them():
    deciding = ControlledDevices(kind=FixedThresholds(thresholds=(0.7, 0.7)), recording=RECORDING, on_device=2)
    times = SplitTimes(device_ms=(1.0, 2.0), cut_ms=2.0, sent_bytes=500, server_ms=(1.0,))
    found = simulate_fleet(times, deciding, Fleet(devices=20, arrivals=Arrivals(rate=1)))
    wanted = (RECORDING.confidences[:, :2] < 0.7).all(axis=1).mean()
    assert found.offload_rate == pytest.approx(wanted, abs=0.05)


def test_unknown_answers_are_refused():
    plain = Recording(name="plain", confidences=RECORDING.confidences, exits=RECORDING.exits)
    with pytest.raises(SimulationError, match=r"plain: .* labels"):
        ControlledDevices(kind=AdaEE(), recording=plain, on_device=1)

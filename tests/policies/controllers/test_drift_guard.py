"""The drift guard: silent on a steady stream, quick on a shift, safe while it holds, and back afterwards."""

from random import Random

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.drift_guard import DriftGuard
from eenas.policies.controllers.fixed import FixedThresholds
from eenas.policies.controllers.splitee import SplitEE
from eenas.testing.controller_contract import check_controller

TWO = ControlledExits(temperatures=(1.0, 1.0), thresholds=(0.7,))
QUICK = {"reference": 50, "hold": 20, "alarm": 2.0}


def first_confidences(mean, samples, seed=0):
    return np.clip(np.random.default_rng(seed).normal(mean, 0.15, size=samples), 0, 1).tolist()


def feed(controller, confidences):
    """Let samples pass, and return the arms that decided them."""
    arms = []
    for value in confidences:
        arm = controller.choose()
        threshold = controller.arms[arm][0]
        leaves = threshold is not None and value >= threshold
        controller.learn(arm, ([value] if leaves else [value, 0.9],))
        arms.append(arm)
    return arms


def alarms(controller):
    return controller.statistics[0].notes["alarms"]


@pytest.mark.parametrize("inner", [AdaEE(), SplitEE(), FixedThresholds(), FixedThresholds(thresholds=(0.5,))])
def test_it_keeps_the_contract(inner):
    check_controller(DriftGuard(controller=inner), 2)
    check_controller(DriftGuard(controller=inner, safe=(0.9,), **QUICK), 4)


def test_a_steady_stream_of_a_hundred_thousand_samples_raises_no_alarm():
    guard = Controller(DriftGuard(controller=FixedThresholds()), TWO)
    feed(guard, first_confidences(0.7, 100_000))
    assert alarms(guard) == 0


@pytest.mark.parametrize("after", [0.35, 0.55, 0.85])
def test_a_shift_in_either_direction_is_noticed_within_a_few_hundred_samples(after):
    guard = Controller(DriftGuard(controller=FixedThresholds()), TWO)
    feed(guard, first_confidences(0.7, 3000))
    arms = feed(guard, first_confidences(after, 400, seed=1))
    assert alarms(guard) == 1
    assert arms[0] == 0
    assert arms[-1] == 1, "the safe arm decides"


def test_while_it_holds_nobody_leaves_early_and_fixed_thresholds_return_with_their_distribution():
    guard = Controller(DriftGuard(controller=FixedThresholds(), hold=200), TWO)
    assert guard.arms == ((0.7,), (None,))
    feed(guard, first_confidences(0.7, 1500))
    shifted = feed(guard, first_confidences(0.3, 2000, seed=1))
    assert shifted[300:] == [1] * 1700, "the thresholds of another distribution stay away"
    back = feed(guard, first_confidences(0.7, 1000, seed=2))
    assert back[-1] == 0
    assert alarms(guard) == 1


def test_a_controller_that_learns_starts_anew_after_the_hold():
    guard = Controller(DriftGuard(controller=AdaEE(warm_up=10), hold=200), TWO)
    feed(guard, first_confidences(0.7, 1500))
    state = guard.to_table()["contexts"][0]["state"]
    assert state["inner"]["samples"] == 1500
    feed(guard, first_confidences(0.3, 600, seed=1))
    state = guard.to_table()["contexts"][0]["state"]
    assert state["alarms"] == 1
    assert state["held"] == 0
    assert 0 < state["inner"]["samples"] < 450
    assert abs(state["center"] - 0.3) < 0.05


def test_the_sums_are_those_of_page():
    kind = DriftGuard(controller=FixedThresholds(), reference=100, alarm=1e6)
    state, values = kind.start(TWO), first_confidences(0.6, 300)
    for value in values:
        kind.learn(TWO, state, kind.choose(TWO, state, Random(0)), [value])
    mean, deviation = np.mean(values[:100]), np.std(values[:100], ddof=1)
    up = down = 0.0
    for value in values[100:]:
        up = max(0.0, up + (value - mean) / deviation - 0.25)
        down = max(0.0, down - (value - mean) / deviation - 0.25)
    assert (state["up"], state["down"]) == (pytest.approx(up), pytest.approx(down))


def test_constant_confidences_as_of_one_class_are_compared_too():
    guard = Controller(DriftGuard(controller=FixedThresholds(), **QUICK), TWO)
    feed(guard, [1.0] * 500)
    assert alarms(guard) == 0
    feed(guard, [0.9] * 5)
    assert alarms(guard) == 1


def test_safe_thresholds_may_be_given():
    assert Controller(DriftGuard(safe=(0.95,)), TWO).arms[-1] == (0.95,)
    with pytest.raises(PolicyError, match="2 exits need 1 thresholds or one, got 3"):
        Controller(DriftGuard(safe=(0.9, 0.9, 0.9)), TWO)
    with pytest.raises(PolicyError, match="a drift guard needs a controller of another kind"):
        DriftGuard(controller=DriftGuard())
    with pytest.raises(PolicyError, match="no thresholds of its own"):
        Controller(DriftGuard(controller=FixedThresholds()), ControlledExits(temperatures=(1.0, 1.0)))

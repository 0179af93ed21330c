"""EARLIEST: its sampled gradient is right in the mean, its price trades earliness, it wins where confidence lies."""

import numpy as np
import pytest

from eenas.policies.fit import Fitting
from eenas.policies.learned.earliest import UNSURE, halting_gradient, train_earliest
from eenas.policies.learned.policy_gradient import expected_reward
from eenas.policies.learned.selection import PRICES, fit_learned
from eenas.policies.learned.stop_nets import sigmoid
from eenas.policies.learned.training_data import TrainingData
from eenas.policies.operating_point import evaluate
from eenas.policies.rule import Rule
from tests.policies.tables import deceptive_table, random_table

GENERATOR = np.random.default_rng(0)
LOGITS, REWARDS = GENERATOR.normal(size=(2, 3)), GENERATOR.choice([-1.0, 1.0], size=(2, 4))
ROUNDS = 40_000


def mean_gradient(baseline=0.0, **settings):
    """The mean over many draws of each sample's gradient, and its standard error."""
    wide, rewards = np.repeat(LOGITS, ROUNDS, axis=0), np.repeat(REWARDS, ROUNDS, axis=0)
    draws = np.random.default_rng(1).random(wide.shape)
    found, taken = halting_gradient(wide, rewards, draws, np.full(wide.shape, baseline), **settings)
    parts = found.reshape(2, ROUNDS, 3) * ROUNDS  # the estimate is the mean over both samples and all draws
    return parts.mean(axis=1), parts.std(axis=1) / np.sqrt(ROUNDS), taken


@pytest.mark.parametrize("baseline", [0.0, 0.6])
def test_the_gradient_is_that_of_the_expected_reward_in_the_mean(baseline) -> None:
    found, error, taken = mean_gradient(baseline, price=0.0)
    _, exact = expected_reward(LOGITS, REWARDS)
    assert (np.abs(found - exact) <= 5 * error + 1e-12).all()
    assert set(taken.tolist()) == {0, 1, 2, 3}


def test_the_price_adds_the_slope_of_the_log_probability_to_halt_where_a_sample_gets() -> None:
    plain, error, _ = mean_gradient(price=0.0)
    priced, _, _ = mean_gradient(price=0.7)
    p = sigmoid(LOGITS)
    reached = np.concatenate([np.ones((2, 1)), np.cumprod(1 - p[:, :-1], axis=1)], axis=1)
    np.testing.assert_allclose(priced - plain, 0.7 * reached * (1 - p) / 2, atol=5 * float(error.max()))


def test_a_sample_that_explores_halts_at_random_and_its_slope_is_that_of_the_mixture() -> None:
    never = np.full((1, 3), -50.0)
    draws = np.array([[0.9, UNSURE - 1e-6, 0.9]])
    slope, taken = halting_gradient(never, np.ones((1, 4)), draws, np.zeros((1, 3)), price=0.0, exploring=1.0)
    assert taken.tolist() == [1]
    assert not slope.any()
    logits, rate = np.array([[0.3, -0.2]]), 0.4
    slope, taken = halting_gradient(
        logits, np.ones((1, 3)), np.array([[0.99, 0.0]]), np.zeros((1, 2)), price=0.0, exploring=rate
    )

    def log_probability(z):
        q = (1 - rate) * sigmoid(z) + rate * UNSURE
        return np.log(1 - q[0, 0]) + np.log(q[0, 1])

    for k in range(2):
        moved = np.zeros((1, 2))
        moved[0, k] = 1e-6
        difference = (log_probability(logits + moved) - log_probability(logits - moved)) / 2e-6
        assert slope[0, k] == pytest.approx(difference, abs=1e-6)


def test_a_higher_price_halts_earlier_with_one_controller_for_all_exits() -> None:
    data = TrainingData.of(random_table(samples=500), (1.0,) * 4, (0, 1, 2, 3, 4, 5))
    halted = []
    for first, last in train_earliest(data, (0.05, 0.6, 9.0), 0):
        assert first == ((),) * 3
        assert len(set(last)) == 1
        halted.append(sigmoid(data.features @ np.array(last[0][:-1]) + last[0][-1]).mean())
    assert halted == sorted(halted)
    assert halted[-1] > halted[0] + 0.2


def test_it_is_kept_where_confidence_misleads() -> None:
    table = deceptive_table(samples=1200)
    temperatures = (1.0,) * table.num_exits
    found = fit_learned("earliest", table, temperatures)
    assert found.wins(temperatures, "max_softmax")
    assert len(found.shapes) == len(PRICES)


def test_the_accuracy_that_is_asked_for_is_reached_on_other_samples_and_costs_less_than_a_coin() -> None:
    """The bound is two standard errors below 0.7: each of three calibrations has 600 samples, whose error dominates.

    A coin that sends the share s to the final exit has the accuracy 0.5 + 0.45 s and spends 1 + 2 s.
    """
    others, asked = deceptive_table(samples=20_000, seed=99), 0.7
    fits = [Fitting(deceptive_table(seed=seed), Rule(kind="earliest")) for seed in range(3)]
    reached = [fit.policy(min_accuracy=asked) for fit in fits]
    assert {policy.kind for policy in reached} == {"earliest"}
    points = [evaluate(policy, others) for policy in reached]
    error = np.sqrt(asked * (1 - asked) / 600 / len(points))
    assert np.mean([point.accuracy for point in points]) > asked - 2 * error
    assert np.mean([point.expected["macs"] for point in points]) < 1 + 2 * (asked - 0.5) / 0.45

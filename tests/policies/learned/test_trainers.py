"""The training of gates: gradients against differences, sums against loops, and what the methods are known for."""

import itertools

import numpy as np
import pytest

from eenas.policies.learned.backward_regression import hinges, knots_of, stopping_gains
from eenas.policies.learned.linear_heads import (
    cheapest_good_exit,
    squared_error,
    train_towards_exit,
    train_wrongness,
    weighted_cross_entropy,
)
from eenas.policies.learned.mixture import mixture_loss
from eenas.policies.learned.policy_gradient import expected_reward, train_policy_gradient
from eenas.policies.learned.reinforce import sampled_gradient
from eenas.policies.learned.selection import PRICES, TRAINERS
from eenas.policies.learned.stop_nets import StopNets, sigmoid
from eenas.policies.learned.training_data import TrainingData, rounded
from tests.policies.tables import deceptive_table, random_table

GENERATOR = np.random.default_rng(0)
LOGITS, REWARDS = GENERATOR.normal(size=(7, 3)), GENERATOR.normal(size=(7, 4))


def differences(function, at, step=1e-6):
    """The gradient of a function of an array, by central differences."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        found[index] = (function(at + moved) - function(at - moved)) / (2 * step)
    return found


def data_of(table, inputs=(0, 1, 2, 3, 4)):
    return TrainingData.of(table, (1.0,) * table.num_exits, inputs)


def test_the_expected_reward_is_the_sum_over_exits():
    value, _ = expected_reward(LOGITS, REWARDS)
    total = 0.0
    for n in range(7):
        staying = 1.0
        for k in range(3):
            p = 1 / (1 + np.exp(-LOGITS[n, k]))
            total += staying * p * REWARDS[n, k]
            staying *= 1 - p
        total += staying * REWARDS[n, 3]
    assert value == pytest.approx(total / 7, abs=1e-12)


def test_gradients_are_those_of_differences():
    _, slope = expected_reward(LOGITS, REWARDS)
    np.testing.assert_allclose(slope, differences(lambda z: expected_reward(z, REWARDS)[0], LOGITS), atol=1e-8)
    likely, costs = GENERATOR.uniform(0.05, 0.95, size=(7, 4)), np.array([0.2, 0.4, 0.7, 1.0])
    _, slope = mixture_loss(LOGITS, likely, costs, 0.7)
    wanted = differences(lambda z: mixture_loss(z, likely, costs, 0.7)[0].sum(), LOGITS)
    np.testing.assert_allclose(slope, wanted, atol=1e-6)
    x, weights = GENERATOR.normal(size=(20, 3)), GENERATOR.uniform(0.5, 2, size=20)
    target = GENERATOR.random(20) < 0.4
    for loss in (weighted_cross_entropy(x, target, 3.0), squared_error(x, target.astype(float), weights)):
        at = GENERATOR.normal(size=4)
        np.testing.assert_allclose(loss(at)[1], differences(lambda v, loss=loss: loss(v)[0], at), atol=1e-8)


def test_the_gradient_of_the_nets_is_that_of_differences():
    generator = np.random.default_rng(1)
    nets, x = StopNets(3, 5, generator, hidden=4), generator.normal(size=(3, 7, 5))
    logits, hidden = nets.forward(x)
    found = nets.backward(x, hidden, expected_reward(logits, REWARDS)[1])

    def value(weights):
        nets.values = weights
        return expected_reward(nets.forward(x)[0], REWARDS)[0]

    np.testing.assert_allclose(found, differences(value, nets.values.copy()), atol=1e-8)


def test_the_mixture_is_the_recursion():
    likely, costs = GENERATOR.uniform(0.05, 0.95, size=(7, 4)), np.array([0.2, 0.4, 0.7, 1.0])
    loss, _ = mixture_loss(LOGITS, likely, costs, 0.7)
    for n in range(7):
        mixed, cost = likely[n, 3], costs[3]
        total = -np.log(mixed) + 0.7 * cost
        for k in (2, 1, 0):
            h = 1 / (1 + np.exp(-LOGITS[n, k]))
            mixed, cost = h * likely[n, k] + (1 - h) * mixed, h * costs[k] + (1 - h) * cost
            total += -np.log(mixed) + 0.7 * cost
        assert loss[n] == pytest.approx(total)


def test_reinforce_is_the_exact_gradient_in_the_mean():
    generator, rounds = np.random.default_rng(2), 40_000
    _, exact = expected_reward(LOGITS[:2], REWARDS[:2])
    wide, wide_rewards = np.repeat(LOGITS[:2], rounds, axis=0), np.repeat(REWARDS[:2], rounds, axis=0)
    for baseline in (0.0, 0.5):  # a baseline changes the spread, not the mean
        found, taken = sampled_gradient(wide, wide_rewards, generator.random(wide.shape), baseline=baseline)
        mean = found.reshape(2, rounds, 3).mean(axis=1) * 2 * rounds / 2  # its own mean is over all rows
        error = found.reshape(2, rounds, 3).std(axis=1) * rounds / np.sqrt(rounds)
        assert (np.abs(mean - exact) <= 5 * error + 1e-12).all()
        assert set(taken.tolist()) == {0, 1, 2, 3}


def test_the_bonus_is_the_gradient_of_the_entropy_of_decisions():
    draws, none = np.full((7, 3), 0.999999), np.zeros((7, 4))  # nobody stops: all decisions count
    found, _ = sampled_gradient(LOGITS, none, draws, baseline=0.0, bonus=0.3)

    def entropy(z):
        p = sigmoid(z)
        return -0.3 * (p * np.log(p) + (1 - p) * np.log(1 - p)).sum() / 7

    np.testing.assert_allclose(found, differences(entropy, LOGITS), atol=1e-8)


def test_training_raises_the_expected_reward():
    data = data_of(deceptive_table(samples=400))
    generator = np.random.default_rng(0)
    x = np.ascontiguousarray(data.standardised.transpose(1, 0, 2))
    nets, rewards, values = StopNets(2, 5, generator), data.rewards(0.3), []
    for _ in range(4):
        values.append(expected_reward(nets.forward(x)[0], rewards)[0])
        nets.descend(x, lambda logits, rows, step: -expected_reward(logits, rewards[rows])[1], 60, generator)
    assert values == sorted(values)
    best = rewards[:, -1].mean()  # nobody leaves early
    assert values[-1] > best + 0.02 > values[0]


def test_gates_on_stored_features_are_those_that_were_trained():
    data = data_of(random_table(samples=100))
    nets = StopNets(3, 5, np.random.default_rng(0))
    nets.values += np.random.default_rng(1).normal(size=nets.values.shape)
    logits, _ = nets.forward(np.ascontiguousarray(data.standardised.transpose(1, 0, 2)))
    first, last = nets.rows(data)
    for k in range(3):
        units = np.array(first[k]).reshape(-1, 6)
        hidden = np.maximum(data.features[:, k] @ units[:, :-1].T + units[:, -1], 0)
        np.testing.assert_allclose(hidden @ np.array(last[k][:-1]) + last[k][-1], logits[:, k], atol=0.2)
    assert rounded(np.array([0.0123456, -98765.4])) == (0.01235, -98770.0)


def test_backward_regression_finds_the_stops_of_a_small_table():
    """Two branches, four kinds of samples told apart by their features: the rule is worked out by hand."""
    kinds = np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.9]])  # the one feature at both branches
    correct = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=float)
    features, costs, price = np.repeat(kinds, 25, axis=0)[:, :, None], np.array([0.25, 0.5, 1.0]), 0.4
    rewards = np.repeat(correct, 25, axis=0) - price * costs
    gains = stopping_gains(features, rewards)
    stops = []
    for k, (knots, weights) in enumerate(gains):
        stops.append(hinges(features[:, k], knots) @ weights[:-1] + weights[-1] >= 0)
    # At the second: for 0.1 stopping earns -0.2, going on (1 + 0) / 2 - 0.4 = 0.1; for 0.9 it is 0.8 to 0.6.
    assert np.array_equal(stops[1], features[:, 1, 0] == 0.9)
    # At the first: for 0.1 stopping earns -0.1, going on (0.6 + 0.8) / 2; for 0.9 it is 0.9 to (-0.4 + 0.8) / 2.
    assert np.array_equal(stops[0], features[:, 0, 0] == 0.9)
    realised = np.where(stops[0], rewards[:, 0], np.where(stops[1], rewards[:, 1], rewards[:, 2]))
    assert realised.mean() == pytest.approx((0.6 + 0.8 + 0.9 + 0.9) / 4)
    rules = (
        dict(zip(itertools.product((0, 1), (0.1, 0.9)), picks, strict=True))
        for picks in itertools.product((0, 1), repeat=4)
    )
    best = -np.inf
    for rule in rules:  # no rule on these features earns more
        one, two = (np.array([rule[k, value] for value in features[:, k, 0]]) for k in (0, 1))
        best = max(best, np.where(one, rewards[:, 0], np.where(two, rewards[:, 1], rewards[:, 2])).mean())
    assert realised.mean() == pytest.approx(best)


def test_knots_are_distinct_and_never_the_largest_value():
    x = np.array([[0.0, 5.0], [1.0, 5.0], [1.0, 5.0]])
    assert knots_of(x).tolist() == [[0, 0.0], [0, 0.5]]
    assert knots_of(x[:, 1:]).tolist() == [[0, 0.0]]


def test_the_target_is_the_cheapest_good_exit_by_cross_entropy():
    likelihoods = np.log(np.array([[0.5, 0.9, 0.95], [0.1, 0.2, 0.9]]))
    costs = np.array([0.2, 0.5, 1.0])
    assert cheapest_good_exit(likelihoods, costs, 0.0).tolist() == [2, 2]
    assert cheapest_good_exit(likelihoods, costs, 0.5).tolist() == [1, 2]
    assert cheapest_good_exit(likelihoods, costs, 9.0).tolist() == [0, 0]


def test_the_price_moves_the_gates_of_jei_dnn():
    data = data_of(random_table(samples=500), (0, 2, 1, 6))
    stopped = []
    for first, last in train_towards_exit(data, (0.05, 0.5, 9.0), 0):
        assert first == ((), (), ())
        stopped.append((data.features[:, 0] @ np.array(last[0][:-1]) + last[0][-1] >= 0).mean())
    assert stopped == sorted(stopped)
    assert stopped[0] < 0.5 < stopped[-1]


def test_one_head_predicts_wrong_answers_at_every_exit():
    data = data_of(random_table(samples=500), (0, 1, 2, 3, 4, 5))
    ((first, last),) = train_wrongness(data, PRICES, 0)
    assert len(set(last)) == 1
    assert first == ((), (), ())
    given = sigmoid(data.features @ np.array(last[0][:-1]) + last[0][-1])
    correct = data.table.correct()[:, :-1]
    assert given[correct].mean() > given[~correct].mean() + 0.2
    assert abs(given.mean() - correct.mean()) < 0.05


@pytest.mark.parametrize("kind", TRAINERS)
def test_training_repeats_itself_and_depends_on_the_seed_where_it_draws(kind, monkeypatch):
    monkeypatch.setattr("eenas.policies.learned.stop_nets.STEPS", 20)
    data = data_of(random_table(samples=150), (0, 1, 2, 3, 4))
    one, again, other = (TRAINERS[kind](data, PRICES[:2], seed) for seed in (0, 0, 1))
    assert one == again
    assert (one != other) == (kind in ("policy_gradient", "reinforce", "eenet", "earliest"))


def test_balanced_accuracy_weights_the_rewards():
    table = random_table(samples=300)
    balanced = type(table)(
        logits=table.logits, labels=table.labels, exits=table.exits, costs=table.costs, balanced=True
    )
    data = data_of(balanced)
    np.testing.assert_allclose(data.right.mean(axis=0), balanced.exit_accuracy())
    assert np.array_equal(data.take(np.arange(5)).features, data.features[:5])
    np.testing.assert_allclose(data.rewards(0.5), data.right - 0.5 * data.costs)
    assert data.costs[-1] == 1
    assert train_policy_gradient is TRAINERS["policy_gradient"]

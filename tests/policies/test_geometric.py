"""The geometric ensemble: its formula, its fit, and what it does with logits of every size."""

import math

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.geometric import GeometricPolicy, ensembled, log_probabilities
from eenas.policies.kinds.geometric_fit import ensemble_loss, fit_geometric, minimise
from eenas.policies.kinds.threshold import ThresholdPolicy
from tests.policies.tables import random_table


def softmax(row):
    weight = np.exp(row - row.max())
    return weight / weight.sum()


def wrapped(table, weights, biases):
    inner = ThresholdPolicy(
        score="max_softmax", temperatures=(1.0,) * table.num_exits, thresholds=(0.8,) * (table.num_exits - 1)
    )
    return GeometricPolicy(weights=weights, biases=biases, policy=inner)


def test_the_formula_of_the_paper():
    table = random_table(samples=20, exits=3, classes=4)
    weights, biases = ((0.3,), (-0.5, 0.2), (0.1, 0.0, 1.0)), tuple((0.1, -0.2, 0.3, 0.4 * k) for k in range(3))
    shown = ensembled(table, weights, biases)
    for index in range(20):
        for k in range(3):
            logs = [np.log(softmax(table.logits[index, j].astype(float))) for j in range(k + 1)]
            mean = sum(math.exp(w) * log for w, log in zip(weights[k], logs, strict=True)) / (k + 1)
            np.testing.assert_allclose(
                softmax(shown.logits[index, k].astype(float)), softmax(mean + np.array(biases[k])), rtol=1e-5
            )
    assert (shown.logits.max(axis=2) == 0).all()


def test_plain_averaging_of_equal_exits_changes_nothing():
    table = random_table(samples=50, exits=1)
    twice = ExitTable(
        logits=np.repeat(table.logits, 3, axis=1),
        labels=table.labels,
        exits=("a", "b", "c"),
        costs=Costs.of(macs=[1.0, 2.0, 3.0]),
    )
    shown = ensembled(twice, ((0.0,), (0.0, 0.0), (0.0, 0.0, 0.0)), ((),) * 3)
    assert np.array_equal(shown.answers(), twice.answers())
    np.testing.assert_allclose(shown.logits[:, 2], shown.logits[:, 0], atol=1e-5)


def test_the_gradient_is_that_of_the_loss():
    table = random_table(samples=30, exits=3, classes=4)
    seen = [log_probabilities(table.logits[:, k]) for k in range(3)]
    generator = np.random.default_rng(0)
    for biased, size in ((True, 7), (False, 3)):
        loss = ensemble_loss(seen, table.labels, biased=biased)
        at = generator.normal(size=size) * 0.5
        _, gradient = loss(at)
        for index in range(size):
            step = np.eye(size)[index] * 1e-5
            slope = (loss(at + step)[0] - loss(at - step)[0]) / 2e-5
            assert gradient[index] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_the_minimum_of_a_bent_valley():
    def rosenbrock(values):
        x, y = values
        slope = np.array([-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)])
        return float(100 * (y - x * x) ** 2 + (1 - x) ** 2), slope

    np.testing.assert_allclose(minimise(rosenbrock, np.array([-1.2, 1.0])), [1, 1], atol=1e-3)
    assert minimise(lambda values: (0.0, np.zeros(2)), np.ones(2)).tolist() == [1, 1]


def test_the_fit_is_better_than_plain_averaging_and_than_any_exit_alone():
    table = random_table(samples=2000)
    weights, biases = fit_geometric(table)
    shown = ensembled(table, weights, biases)

    def likelihood(logits):
        below = logits.astype(float) - logits.max(axis=1, keepdims=True)
        return float((np.log(np.exp(below).sum(axis=1)) - below[np.arange(len(table)), table.labels]).mean())

    plain = ensembled(table, tuple((0.0,) * (k + 1) for k in range(4)), ((),) * 4)
    for k in range(4):
        assert likelihood(shown.logits[:, k]) < likelihood(plain.logits[:, k])
        assert likelihood(shown.logits[:, k]) < likelihood(table.logits[:, k])
    assert fit_geometric(table) == (weights, biases)


def test_classes_with_few_samples_have_no_biases():
    _, biases = fit_geometric(random_table(samples=60, exits=2, classes=5))
    assert biases == ((), ())
    _, biases = fit_geometric(random_table(samples=100, exits=2, classes=5))
    assert [len(row) for row in biases] == [5, 5]


def test_exits_that_are_always_right_keep_finite_weights():
    labels = np.arange(200) % 2
    logits = np.zeros((200, 2, 2), np.float32)
    logits[np.arange(200), :, labels] = 1000
    table = ExitTable(logits=logits, labels=labels, exits=("a", "f"), costs=Costs.of(macs=[1.0, 2.0]))
    weights, biases = fit_geometric(table)
    assert np.isfinite([*weights[0], *weights[1], *biases[0], *biases[1]]).all()
    assert wrapped(table, weights, biases).apply(table).exit_index.max() == 0


def test_enormous_logits_stay_finite_and_logits_that_are_not_say_nothing():
    table = random_table(samples=4, exits=2, classes=3)
    huge = ExitTable(
        logits=table.logits * np.float32(1e37),
        labels=table.labels,
        exits=table.exits,
        costs=Costs.of(macs=table.costs["macs"]),
    )
    assert np.isfinite(ensembled(huge, ((10.0,), (10.0, 10.0)), ((),) * 2).logits).all()
    broken = np.array([[np.nan, 1, 2], [np.inf, 0, 0], [0, 0, 5]], np.float32)
    assert log_probabilities(broken)[:2].tolist() == [[0, 0, 0], [0, 0, 0]]
    policy = wrapped(table, ((0.0,), (0.0, 0.0)), ((),) * 2)
    leaving, state = policy.decide(0, broken, policy.start(3))
    assert leaving.tolist() == [False, False, True]
    last, state = policy.decide(1, np.array([[0, 0, 9], [9, 0, 0]], np.float32), state[~leaving])
    assert last.all()
    assert policy.answer(state).tolist() == [2, 0]


def test_logits_of_other_classes_are_refused():
    table = random_table(exits=2, classes=5)
    policy = wrapped(table, ((0.0,), (0.0, 0.0)), ((0.0,) * 3,) * 2)
    with pytest.raises(PolicyError, match="for 3 classes, got logits of 5"):
        policy.apply(table)

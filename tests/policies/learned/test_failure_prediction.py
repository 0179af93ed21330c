"""Failure prediction: the regression is that of scikit-learn, and its ranking finds errors that confidence hides."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from eenas.policies.kinds.signal_policy import Evidence
from eenas.policies.learned.failure_prediction import train_failure_prediction
from eenas.policies.learned.learned_kinds import FailurePredictionPolicy
from eenas.policies.learned.linear_heads import RIDGE_OF_HEADS
from eenas.policies.learned.training_data import TrainingData
from eenas.policies.risk.error_detection import auroc
from tests.policies.tables import deceptive_table, random_table


def trained(table):
    data = TrainingData.of(table, (1.0,) * table.num_exits, FailurePredictionPolicy.inputs)
    ((first, last),) = train_failure_prediction(data, (0.1, 1.0), 0)
    policy = FailurePredictionPolicy(temperatures=data.temperatures, first=first, last=last, limit=0.5)
    return data, policy


def test_the_head_of_an_exit_is_the_weighted_logistic_regression():
    data, policy = trained(random_table(samples=600, exits=3))
    for k in range(2):
        x, right = data.standardised[:, k], data.table.correct()[:, k]
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # the bias has the same small ridge
        model = LogisticRegression(
            C=1 / (RIDGE_OF_HEADS * len(x)), class_weight="balanced", fit_intercept=False, tol=1e-10, max_iter=10_000
        ).fit(x, right)
        expected = x @ model.coef_[0] + np.log(right.mean() / (1 - right.mean()))
        given = policy.gate_logits(Evidence(data.table, data.temperatures))[:, k]
        np.testing.assert_allclose(given, expected, atol=0.02)  # weights are stored with four digits


def test_probabilities_have_the_true_mean_at_every_exit():
    data, policy = trained(random_table(samples=4000, exits=4, classes=4))
    signals = policy.signals(Evidence(data.table, data.temperatures))
    np.testing.assert_allclose(signals.mean(axis=0), data.table.correct()[:, :-1].mean(axis=0), atol=0.03)


def test_the_ranking_finds_errors_at_least_as_well_as_confidence():
    half = np.arange(4000) % 2 == 0
    table = random_table(samples=4000, exits=4, classes=4, seed=2)
    _, policy = trained(table.take(half))
    other = table.take(~half)
    evidence = Evidence(other, policy.temperatures)
    for k in range(3):
        wrong = ~other.correct()[:, k]
        assert auroc(-policy.signals(evidence)[:, k], wrong) > auroc(-evidence.scores[:, k], wrong) - 0.01


@pytest.mark.parametrize("right", [True, False])
def test_an_exit_that_is_always_right_or_always_wrong_has_a_finite_head(right):
    table = random_table(samples=300, exits=2)
    logits = table.logits.copy()
    logits[np.arange(300), 0, table.labels] += 100 if right else -100
    _, policy = trained(type(table)(logits=logits, labels=table.labels, exits=table.exits, costs=table.costs))
    signals = policy.signals(Evidence(table, policy.temperatures))
    assert np.isfinite(signals).all()
    assert ((signals > 0.5) == right).mean() > 0.9


def test_confidence_that_deceives_is_seen_through():
    table = deceptive_table(samples=2000)
    _, policy = trained(table)
    evidence, wrong = Evidence(table, policy.temperatures), ~table.correct()[:, 0]
    assert auroc(-evidence.scores[:, 0], wrong) < 0.1
    assert auroc(-policy.signals(evidence)[:, 0], wrong) > 0.9

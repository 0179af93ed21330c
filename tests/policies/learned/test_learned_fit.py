"""Fitting learned kinds: budgets are kept, overfitting is not rewarded, and a kind that does not win is left out."""

import numpy as np
import pytest

from eenas.policies.fit import Fitting, declined, fit
from eenas.policies.kinds.geometric import GeometricPolicy
from eenas.policies.kinds.most_confident import MostConfidentPolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.learned.learned_kinds import LEARNED
from eenas.policies.learned.selection import LEAST_SAMPLES, POINTS, fit_learned, kept_candidates
from eenas.policies.operating_point import OperatingPoint, evaluate
from eenas.policies.risk.control import RiskLimit, controlled
from eenas.policies.rule import Rule
from tests.policies.tables import deceptive_table, random_table

BUDGET = {"macs": 2.2}


@pytest.mark.parametrize("kind", LEARNED)
def test_a_kind_that_wins_is_kept_within_its_budget(kind):
    table, other, rule = deceptive_table(), deceptive_table(seed=1), Rule(kind=kind)
    fitting = Fitting(table, rule)
    policy = fitting.policy(BUDGET)
    assert policy.kind == kind
    assert declined(rule, policy) == ()
    assert policy.within_budget
    assert evaluate(policy, table).expected["macs"] <= BUDGET["macs"] * (1 + 1e-9)
    assert evaluate(policy, other).accuracy > evaluate(fit(table, within=BUDGET), other).accuracy + 0.1
    points = fitting.operating_points(other)
    assert 2 <= len(points) <= POINTS
    assert list(points) == [evaluate(point.policy, other) for point in points]
    assert all(OperatingPoint.from_table(point.to_table()) == point for point in points)
    spent = [evaluate(point.policy, table).expected["macs"] for point in points]
    assert spent == sorted(spent)
    assert not fitting.policy({"macs": 0.5}).within_budget
    reached = fitting.policy(min_accuracy=0.7)
    assert reached.within_budget
    if kind != "earliest":  # `test_earliest` judges it on more samples
        assert evaluate(reached, other).accuracy > 0.66


def test_accuracies_are_those_of_held_out_samples():
    """Labels are noise: gates that remember samples look good on these samples alone."""
    table = random_table(samples=500, exits=2)
    noise = np.random.default_rng(5).integers(table.num_classes, size=500)
    table = type(table)(logits=table.logits, labels=noise, exits=table.exits, costs=table.costs)
    found = fit_learned("policy_gradient", table, (1.0, 1.0))
    seen = max(curve.accuracy.max() for curve in found.curves)
    assert found.candidates().accuracy.max() < seen
    for curve, held_out in zip(found.curves, found.held_out, strict=True):
        ends = [curve.accuracy[0], curve.accuracy[-1]]
        assert ends == [held_out.accuracy[0], held_out.accuracy[-1]]  # where nothing is decided


def test_a_threshold_decides_where_there_is_nothing_to_learn():
    generator = np.random.default_rng(0)
    table = random_table(samples=600)
    logits = generator.normal(size=(600, 3, 4))
    labels = generator.integers(4, size=600)
    logits[np.arange(600), 2, labels] += 20
    table = type(table)(logits=logits, labels=labels, exits=("a", "b", "final"), costs=deceptive_table(10).costs)
    rule = Rule(kind="learned_to_exit", score="margin")
    fitting = Fitting(table, rule)
    assert fitting.rule == Rule(score="margin")
    policy = fitting.policy({"macs": 2.5})
    assert policy == fit(table, Rule(score="margin"), within={"macs": 2.5})
    (sentence,) = declined(rule, policy)
    assert "learned_to_exit did not win on held-out calibration samples" in sentence
    assert str(LEAST_SAMPLES) in sentence
    assert "\n" not in sentence


def test_few_samples_and_one_exit_have_no_gates():
    rule = Rule(kind="backward_regression")
    few = deceptive_table(samples=LEAST_SAMPLES - 1)
    assert isinstance(fit(few, rule), ThresholdPolicy)
    assert kept_candidates("backward_regression", few, (1.0,) * 3, "max_softmax") is None
    one = random_table(samples=500, exits=1)
    assert declined(rule, fit(one, rule)) == ()
    assert isinstance(fit(one, rule), ThresholdPolicy)


def test_an_ensemble_and_a_final_rule_go_around_the_gates():
    table, other = deceptive_table(), deceptive_table(seed=1)
    rule = Rule(kind="backward_regression", final_rule="most_confident")
    policy = fit(table, rule, within=BUDGET)
    assert isinstance(policy, MostConfidentPolicy)
    assert policy.policy.kind == "backward_regression"
    rule = Rule(kind="backward_regression", ensemble="geometric")
    points = Fitting(table, rule).operating_points(other)
    assert list(points) == [evaluate(point.policy, other) for point in points]
    inner = {
        point.policy.policy.kind if isinstance(point.policy, GeometricPolicy) else point.policy.kind for point in points
    }
    assert inner <= {"backward_regression", "threshold"}


def test_balanced_accuracy_is_maximised():
    table = deceptive_table()
    balanced = type(table)(
        logits=table.logits, labels=table.labels, exits=table.exits, costs=table.costs, balanced=True
    )
    policy = fit(balanced, Rule(kind="backward_regression"), within=BUDGET)
    assert policy.kind == "backward_regression"


def test_a_guarantee_holds_gates_that_were_trained_on_the_other_part():
    table, limit = deceptive_table(samples=2200), RiskLimit(max_risk=0.1, confidence=0.9)
    found = controlled(table, limit, Rule(kind="backward_regression"))
    assert found.guarantee.certified
    assert found.policy.kind == "backward_regression"
    other = deceptive_table(samples=2000, seed=1)
    point = evaluate(found.policy, other)
    assert point.accuracy >= other.exit_accuracy()[-1] - 0.1
    assert point.expected["macs"] < 2.5 < 3.0

"""Balanced accuracy: against scikit-learn's, through curves, points, tables and intervals."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from eenas.policies.bootstrap import advantage, interval_of_counts
from eenas.policies.class_weights import balanced_weights, effective_samples, weighted_accuracy
from eenas.policies.costs import Costs
from eenas.policies.curve import common_curve
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.fit import Fitting
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import evaluate
from eenas.policies.rule import Rule


def table(samples=400, rare=0.1, balanced=True, seed=0):
    generator = np.random.default_rng(seed)
    labels = (generator.random(samples) < rare).astype(np.int64)
    logits = (
        generator.normal(size=(samples, 3, 2)) + np.array([1.0, 1.5, 2.0])[None, :, None] * np.eye(2)[labels][:, None]
    )
    logits[..., 0] += 0.8  # the common class is preferred, as networks do
    return ExitTable(
        logits=logits, labels=labels, exits=("a", "b", "final"), costs=Costs.of(macs=[1, 2, 3]), balanced=balanced
    )


def test_the_share_is_that_of_scikit_learn():
    found = table()
    for k, accuracy in enumerate(found.exit_accuracy()):
        assert accuracy == pytest.approx(balanced_accuracy_score(found.labels, found.answers()[:, k]))
    assert found.weights.mean() == pytest.approx(1)
    gaps = np.array([0, 0, 0, 2])  # a class without samples does not count
    right = np.array([True, False, True, False])
    assert weighted_accuracy(right, balanced_weights(gaps)) == pytest.approx((2 / 3 + 0) / 2)


def test_every_point_of_the_curve_is_that_of_its_policy():
    found = table()
    curve = common_curve(found, np.ones(3))
    for index in range(0, len(curve), 37):
        threshold = curve.thresholds[index]
        limit = None if np.isinf(threshold) else float(min(threshold, 1.0))
        policy = ThresholdPolicy(score="max_softmax", temperatures=(1.0,) * 3, thresholds=(limit,) * 2)
        point, answer = evaluate(policy, found), policy.apply(found).answer
        assert curve.accuracy[index] == pytest.approx(point.accuracy)
        assert point.accuracy == pytest.approx(balanced_accuracy_score(found.labels, answer))
        assert curve.costs["macs"][index] == pytest.approx(
            point.expected["macs"]
        )  # costs are those of samples as they come


@pytest.mark.parametrize("per_exit", [False, True])
def test_fitting_prefers_balanced_accuracy_where_that_is_asked_for(per_exit):
    plain, fair = table(balanced=False), table()
    limit = {"macs": 1.6}
    policies = [Fitting(each, Rule(score="max_softmax", per_exit=per_exit)).policy(limit) for each in (plain, fair)]
    assert evaluate(policies[1], fair).accuracy > evaluate(policies[0], fair).accuracy + 0.005
    assert evaluate(policies[1], plain).accuracy <= evaluate(policies[0], plain).accuracy
    assert evaluate(policies[0], plain).accuracy >= evaluate(policies[1], plain).accuracy - 1e-9


def test_parts_and_files_stay_balanced(tmp_path):
    found = table()
    found.save(tmp_path / "a.npz")
    again = load_exit_table(tmp_path / "a.npz")
    assert again.balanced
    assert again.exit_accuracy() == found.exit_accuracy()
    assert found.truncate(2).exit_accuracy() == found.exit_accuracy()[:2]
    part = found.take(np.arange(100))
    assert part.exit_accuracy()[0] == pytest.approx(balanced_accuracy_score(part.labels, part.answers()[:, 0]))
    table(balanced=False).save(tmp_path / "b.npz")
    assert not load_exit_table(tmp_path / "b.npz").balanced


def test_the_interval_of_an_advantage():
    found = table(samples=4000)
    one, other = (found.correct()[:, k] for k in (2, 0))
    difference, low, high = advantage(one, other, found.weights)
    assert difference == pytest.approx(found.exit_accuracy()[2] - found.exit_accuracy()[0])
    assert low < difference < high
    generator = np.random.default_rng(1)
    values = found.weights * (one.astype(float) - other)
    slow = [values[generator.integers(4000, size=4000)].mean() for _ in range(600)]
    assert (low, high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.004)
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    assert advantage(one, other)[1:] == interval_of_counts(gained, lost, 4000)


def test_rare_classes_decide_with_few_samples():
    labels = np.repeat([0, 1], [95, 5])
    assert effective_samples(100, None) == 100
    assert effective_samples(100, balanced_weights(labels)) == pytest.approx(19)
    assert effective_samples(100, balanced_weights(np.arange(100) % 2)) == pytest.approx(100)

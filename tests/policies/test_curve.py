"""The common curve: exactly what a loop over every threshold finds, and the best point of it for a limit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import PolicyError
from eenas.policies.costs import Costs
from eenas.policies.curve import best_index, common_curve, fit_common
from eenas.policies.exit_table import ExitTable
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.operating_point import evaluate
from eenas.policies.scores import SCORES, branch_scores
from tests.policies.tables import random_table, slow_leave, tables

kinds = st.sampled_from(sorted(SCORES))


def slow_points(table, temperatures, kind):
    """Every way that one threshold can decide over the table, by trying each score as the threshold."""
    scores = branch_scores(table.logits, temperatures, kind)
    branches = table.num_exits - 1
    found = {}
    for threshold in [None, *sorted(set(scores.ravel().tolist()), reverse=True)]:
        where = [slow_leave(row, [threshold] * branches) for row in scores]
        right = sum(int(table.logits[i, k].argmax()) == table.labels[i] for i, k in enumerate(where))
        cost = sum(float(table.costs["macs"][k]) for k in where) / len(table)
        time = sum(float(table.costs["latency"][k]) for k in where) / len(table)
        found[tuple(where)] = (cost, right / len(table), time)
    return sorted(found.values())


@given(tables(), kinds)
def test_holds_every_point_of_the_slow_loop_and_no_other(table, kind):
    temperatures = np.linspace(0.6, 1.4, table.num_exits)
    curve = common_curve(table, temperatures, kind)
    points = sorted(zip(curve.costs["macs"], curve.accuracy, curve.costs["latency"], strict=True))
    assert np.array(points) == pytest.approx(np.array(slow_points(table, temperatures, kind)))


@given(tables(), kinds)
def test_every_threshold_does_what_its_point_says(table, kind):
    temperatures = np.ones(table.num_exits)
    curve = common_curve(table, temperatures, kind)
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.costs["macs"]) > 0).all()
    assert curve.thresholds[-1] == np.inf
    assert (table.num_exits == 1) == (len(curve) == 1)
    for index, threshold in enumerate(curve.thresholds):
        shared = None if np.isinf(threshold) else float(threshold)
        policy = ThresholdPolicy(score=kind, temperatures=temperatures, thresholds=(shared,) * (table.num_exits - 1))
        point = evaluate(policy, table)
        assert point.accuracy == curve.accuracy[index]
        assert point.expected["macs"] == curve.costs["macs"][index]
        assert point.expected["latency"] == curve.costs["latency"][index]
        assert np.array_equal(
            np.bincount(policy.apply(table).exit_index, minlength=table.num_exits), curve.leaving[index]
        )


def test_thresholds_lie_midway_between_scores():
    logits = np.log(np.array([[[0.6, 0.4]] * 2, [[0.8, 0.2]] * 2, [[0.9, 0.1]] * 2]))
    table = ExitTable(logits=logits, labels=np.array([0, 1, 0]), exits=("a", "final"), costs=Costs.of(macs=[1, 2]))
    curve = common_curve(table, (1, 1))
    assert curve.thresholds == pytest.approx([0, 0.7, 0.85, np.inf])
    assert curve.costs["macs"] == pytest.approx([1, 4 / 3, 5 / 3, 2])
    assert "latency" not in curve.costs


def test_one_exit_has_one_point():
    table = random_table(exits=1)
    curve = common_curve(table)
    assert curve.thresholds.tolist() == [np.inf]
    policy = fit_common(table, within={"macs": float(table.costs["macs"][0])})
    assert policy.thresholds == ()
    assert policy.within_budget
    assert not fit_common(table, within={"macs": 1}).within_budget


@given(tables(min_exits=2), st.floats(0.1, 1.3))
def test_the_fit_is_the_best_of_all_thresholds_within_the_budget(table, share):
    budget = share * float(table.costs["macs"][-1])
    policy = fit_common(table, temperatures=np.ones(table.num_exits), within={"macs": budget})
    point = evaluate(policy, table)
    affordable = [p for p in slow_points(table, np.ones(table.num_exits), "max_softmax") if p[0] <= budget * (1 + 1e-9)]
    assert policy.within_budget == bool(affordable)
    if affordable:
        most = max(accuracy for _, accuracy, _ in affordable)
        assert point.accuracy == pytest.approx(most)
        assert point.expected["macs"] == pytest.approx(
            min(cost for cost, accuracy, _ in affordable if accuracy == most)
        )
    else:
        assert policy.thresholds[0] == 0
        assert point.expected["macs"] == table.costs["macs"][0]


def test_limits():
    table = random_table(samples=500)
    free = evaluate(fit_common(table), table)
    assert free.accuracy == common_curve(table).accuracy.max()
    quick = fit_common(table, within={"latency": 5.0})
    assert evaluate(quick, table).expected["latency"] <= 5.0 * (1 + 1e-9)
    wanted = fit_common(table, min_accuracy=free.accuracy - 0.05)
    assert wanted.within_budget
    point = evaluate(wanted, table)
    assert point.accuracy >= free.accuracy - 0.05 - 1e-9
    curve = common_curve(table)
    assert point.expected["macs"] == curve.costs["macs"][curve.accuracy >= free.accuracy - 0.05 - 1e-9].min()
    too_much = fit_common(table, min_accuracy=1.0)
    assert not too_much.within_budget
    assert evaluate(too_much, table).accuracy == free.accuracy
    assert not fit_common(table, within={"latency": 0}).within_budget


def test_a_budget_of_the_dearest_exit_may_be_spent_whole():
    table = random_table(samples=7, exits=3)
    curve = common_curve(table)
    policy = fit_common(table, within={"macs": float(curve.costs["macs"][-1])})
    assert evaluate(policy, table).accuracy == curve.accuracy.max()


def test_errors():
    with pytest.raises(
        PolicyError, match="max_latency_ms needs a table with this cost, got macs; measure the cost first"
    ):
        fit_common(random_table(latency=False), within={"latency": 1})
    for bad in (-1.0, float("nan")):
        with pytest.raises(PolicyError, match="max_macs must be"):
            fit_common(random_table(), within={"macs": bad})
    with pytest.raises(PolicyError, match="unknown score"):
        common_curve(random_table(), score="luck")


def test_best_index_takes_the_cheapest_of_equals():
    accuracy, costs = np.array([0.5, 0.9, 0.9]), Costs.of(macs=[1.0, 3.0, 2.0], energy=[3.0, 1.0, 2.0])
    assert best_index(accuracy, costs) == (2, True)
    assert best_index(accuracy, costs, within={"macs": 0.5}) == (0, False)
    assert best_index(accuracy, costs, within={"macs": 1.5}, min_accuracy=0.8) == (0, False)
    assert best_index(accuracy, costs, within={"energy": 1.5}) == (1, True)
    assert best_index(accuracy, costs, within={"energy": 0.5}) == (1, False)
    assert best_index(accuracy, costs, within={"energy": 0.5, "macs": 5.0}) == (0, False)

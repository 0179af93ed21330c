"""The rule that prunes trials, from the records of a study."""

import numpy as np
import pytest

from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurves
from eenas.records.tables import LEARNING_CURVES
from eenas.study.trials.pruning import LATE, STARTUP, PruningRule, curve_hypervolume


def area(skill, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=400)
    logits = generator.normal(size=(400, 2, 4)).astype(np.float32)
    logits[np.arange(400), :, labels] += skill
    table = ExitTable(logits=logits, labels=labels, exits=("a", "final"), costs=Costs.of(macs=np.array([50.0, 100.0])))
    return curve_hypervolume(table, backbone_macs=100.0, score="max_softmax")


@pytest.fixture
def curves():
    return LearningCurves(Database("sqlite://"))


@pytest.fixture
def rule(curves):
    return PruningRule(curves, "study")


def fill(rule, skill=2.0, *, progress=0.5, method="joint", start=0):
    """`STARTUP` trials that have ended, each with one value."""
    for seed in range(STARTUP):
        rule.add(start + seed, method, ((progress, area(skill + 0.1 * seed, seed)),))


def test_more_skill_is_more_area():
    areas = [area(skill) for skill in (0, 1, 2, 4)]
    assert areas == sorted(areas)
    assert areas[0] < 0.1 * areas[-1]


def test_nothing_is_pruned_before_there_are_others(rule):
    for seed in range(STARTUP - 1):
        rule.add(seed, "joint", ((0.5, area(4.0, seed)),))
    assert not rule.is_below(0.5, area(0.0), method="joint")
    rule.add(STARTUP - 1, "joint", ((0.5, area(4.0, STARTUP)),))
    assert rule.is_below(0.5, area(0.0), method="joint")


@pytest.mark.parametrize(("skill", "below"), [(0.0, True), (2.0, False), (6.0, False)])
def test_far_below_the_others_is_pruned(rule, skill, below):
    fill(rule)
    assert rule.is_below(0.5, area(skill, 9), method="joint") is below


def test_trials_are_compared_at_the_same_share_of_the_budget_only(rule):
    fill(rule, 4.0, progress=0.75)
    assert not rule.is_below(0.25, area(0.0), method="joint")
    assert rule.is_below(0.75, area(0.0), method="joint")


def test_trials_are_compared_with_those_of_the_same_method_only(rule):
    fill(rule, 4.0)
    assert not rule.is_below(0.5, area(0.0), method="branch_wise")
    assert rule.is_below(0.5, area(0.0), method="joint")


def test_the_usual_rise_is_that_of_trials_that_ended(rule):
    assert rule.rise(0.5, method="joint") is None
    for number, (half, end) in enumerate(((0.4, 0.5), (0.45, 0.6), (0.3, 0.32))):
        rule.add(number, "joint", ((0.26, half - 0.1), (0.51, half), (1.0, end)))
    rule.add(3, "joint", ((0.26, 0.1), (0.51, 0.1)))  # pruned
    assert rule.rise(0.5, method="joint") == pytest.approx(0.1)
    assert rule.rise(0.25, method="joint") == pytest.approx(0.2)
    assert rule.rise(0.5, method="two_stage") is None
    assert rule.rise(0.75, method="joint") is None


def test_what_one_worker_saw_another_knows(curves, rule):
    other = PruningRule(curves, "study")
    assert not other.is_below(0.5, area(0.0), method="joint")
    fill(rule, 4.0)
    assert other.is_below(0.5, area(0.0), method="joint")
    for number in (10, 11):
        rule.add(number, "joint", ((0.5, 0.3), (1.0, 0.4)))
    assert other.rise(0.5, method="joint") == pytest.approx(0.1)


def test_looking_for_new_curves_costs_the_same_after_thousands_of_trials():
    asked = []

    class Seen(LearningCurves):
        def list(self, study, *, known=(), first=0):
            asked.append(first)
            return super().list(study, known=known, first=first)

    database, total, slow = Database("sqlite://"), 3 * LATE, 3 * LATE - 500
    row = {"study": "study", "method": "joint", "curve": "[[0.5, 0.2], [1.0, 0.2]]"}
    with database.transaction() as connection:
        rows = [{**row, "number": number} for number in range(total) if number != slow]
        connection.execute(LEARNING_CURVES.insert(), rows)
    rule = PruningRule(Seen(database), "study")
    assert rule.rise(0.5, method="joint") == 0
    for number in (slow, total):  # one began long before the newest, one after it
        rule.add(number, "late", ((0.5, 0.1), (1.0, 0.3)))
    assert rule.rise(0.5, method="late") == pytest.approx(0.2)
    assert asked == [0, total - 1 - LATE]


def test_a_resumed_study_decides_as_before_and_another_study_does_not_count(curves, rule):
    fill(rule, 4.0)
    values = [area(skill) for skill in (0.0, 1.0, 2.0, 3.0, 4.0)]
    decisions = [rule.is_below(0.5, value, method="joint") for value in values]
    resumed, elsewhere = PruningRule(curves, "study"), PruningRule(curves, "another")
    assert [resumed.is_below(0.5, value, method="joint") for value in values] == decisions
    assert len(set(decisions)) == 2
    assert not any(elsewhere.is_below(0.5, value, method="joint") for value in values)

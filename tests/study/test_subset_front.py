"""The front of the frozen regime, against slow and obvious code."""

import numpy as np
import pytest

from eenas.fronts.dominance import pareto_mask
from eenas.frozen.subsets import THRESHOLDS, SubsetObjective
from eenas.study.rivals import subset_front
from eenas.study.rivals.subset_front import find_front, pick
from tests.frozen.candidate_tables import made_up_table
from tests.frozen.test_subsets import every_choice

CHANCE = 0.25


@pytest.mark.parametrize("most", [None, 2])
def test_the_exact_front_is_that_of_every_choice_at_every_threshold(most: int | None) -> None:
    table = made_up_table(4, structures=2, branch=0.03, seed=3)
    objective = SubsetObjective(table=table, cost_weight=0.0)
    choices = [choice for choice in every_choice(table) if most is None or len(choice) <= most]
    points = []
    for choice in choices:
        for threshold in THRESHOLDS:
            evaluation = SubsetObjective(table=table, cost_weight=0.0, thresholds=(threshold,)).evaluate(choice)
            points.append((evaluation.accuracy, evaluation.cost))
    values = np.array(points)
    wanted = np.unique(values[pareto_mask(values, (True, False))], axis=0)
    front = find_front(objective, most=most)
    assert front.scored == len(choices)
    np.testing.assert_allclose(np.unique(np.stack([front.accuracy, front.cost], axis=1), axis=0), wanted)
    assert (np.diff(front.cost) > 0).all()
    assert (np.diff(front.accuracy) > 0).all()


def test_every_point_says_which_choice_and_threshold_it_is() -> None:
    table = made_up_table(4, structures=2, branch=0.03, seed=4)
    front = find_front(SubsetObjective(table=table, cost_weight=0.0))
    for index in range(len(front.of)):
        objective = SubsetObjective(table=table, cost_weight=0.0, thresholds=(float(front.thresholds[index]),))
        evaluation = objective.evaluate(front.subsets[front.of[index]])
        assert (evaluation.accuracy, evaluation.cost) == pytest.approx((front.accuracy[index], front.cost[index]))


def test_the_beam_comes_close_to_the_exact_front_with_fewer_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    table = made_up_table(6, structures=2, branch=0.02, samples=300, seed=5)
    objective = SubsetObjective(table=table, cost_weight=0.0)
    exact = find_front(objective)
    monkeypatch.setattr(subset_front, "EXACT", 1)
    monkeypatch.setattr(subset_front, "BEAM", 4)
    beam = find_front(objective)
    assert beam.scored < exact.scored == objective.choices
    assert exact.area(CHANCE) >= beam.area(CHANCE) >= 0.995 * exact.area(CHANCE)
    assert "beam" in beam.method


def test_picks_add_hypervolume_one_after_another() -> None:
    table = made_up_table(5, structures=1, branch=0.02, samples=300, seed=6)
    objective = SubsetObjective(table=table, cost_weight=0.0)
    front = find_front(objective)
    picked = pick(objective, front.subsets, 3, CHANCE)
    assert 1 <= len(picked) <= 3
    assert len(set(picked)) == len(picked)
    alone = {subset: subset_front._area(*objective.outcome(subset), CHANCE) for subset in front.subsets}
    assert alone[picked[0]] == max(alone.values())
    assert pick(objective, (), 3, CHANCE) == ()

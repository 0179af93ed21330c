"""What a choice is worth and the best one, against slow and obvious code."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.errors import TrainingError
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.subsets import THRESHOLDS, Subset, SubsetObjective
from eenas.policies.scores import branch_scores
from tests.frozen.candidate_tables import made_up_table


def slow_value(table: CandidateTable, chosen: Subset, cost_weight: float, thresholds: tuple[float, ...]) -> float:
    """Every sample, every threshold: walk from exit to exit."""
    exits = table.exit_table(chosen)
    scores = branch_scores(exits.logits, table.temperatures[[*chosen, len(table.names)]], "max_softmax")
    best = -np.inf
    for threshold in thresholds:
        right = cost = 0.0
        for sample in range(len(table)):
            passed = [k for k in range(len(chosen)) if scores[sample, k] >= threshold]
            exit_ = passed[0] if passed else len(chosen)
            right += exits.logits[sample, exit_].argmax() == table.labels[sample]
            cost += exits.costs["macs"][exit_] / table.total_macs
        best = max(best, (right - cost_weight * cost) / len(table))
    return best


def every_choice(table: CandidateTable) -> list[Subset]:
    options = ([(), *((option,) for option in group)] for group in table.groups)
    return [tuple(itertools.chain(*parts)) for parts in itertools.product(*options)]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5), cost_weight=st.sampled_from([0.05, 0.3, 1.0]))
def test_worth_is_that_of_a_walk_from_exit_to_exit(data: st.DataObject, seed: int, cost_weight: float) -> None:
    table = made_up_table(4, structures=2, samples=60, seed=seed)
    chosen = data.draw(st.sampled_from(every_choice(table)))
    thresholds = THRESHOLDS[::6]
    evaluation = SubsetObjective(table=table, cost_weight=cost_weight, thresholds=thresholds).evaluate(chosen)
    assert evaluation.value == pytest.approx(slow_value(table, chosen, cost_weight, thresholds))
    assert evaluation.value == pytest.approx(evaluation.accuracy - cost_weight * evaluation.cost)
    assert evaluation.threshold in thresholds


def test_no_branch_is_the_backbone() -> None:
    table = made_up_table(3)
    evaluation = SubsetObjective(table=table, cost_weight=0.5).evaluate(())
    assert evaluation.accuracy == pytest.approx(float(table.correct[:, -1].mean()))
    assert evaluation.cost == 1.0


@pytest.mark.parametrize("bounds", [{}, {"most": 2}, {"count": 2}, {"least": 0}, {"count": 3, "most": 3}])
def test_exhaustive_is_the_best_of_all(bounds: dict[str, int]) -> None:
    table = made_up_table(4, structures=2, branch=0.03, seed=2)
    objective = SubsetObjective(table=table, cost_weight=0.3)
    count = bounds.get("count", 0)
    low, high = (count, count) if count else (bounds.get("least", 1), bounds.get("most", 4))
    allowed = [choice for choice in every_choice(table) if low <= len(choice) <= high]
    best = max(objective.evaluate(choice).value for choice in allowed)
    chosen, evaluation = objective.exhaustive(**bounds)
    assert chosen in allowed
    assert evaluation.value == pytest.approx(best)
    assert objective.evaluate(chosen) == evaluation


@pytest.mark.parametrize("bounds", [{}, {"most": 2}, {"count": 2}])
def test_polishing_rises_and_keeps_the_bounds(bounds: dict[str, int]) -> None:
    table = made_up_table(5, structures=2, branch=0.02, seed=1)
    objective = SubsetObjective(table=table, cost_weight=0.3)
    start = (0, 8)
    chosen, evaluation, flips = objective.polish(start, **bounds)
    assert evaluation.value >= objective.evaluate(start).value
    assert (flips == 0) == (chosen == start)
    assert len(chosen) <= bounds.get("count", bounds.get("most", 5))
    assert evaluation.value >= objective.exhaustive(**bounds)[1].value - 0.01
    assert objective.polish(chosen, **bounds) == (chosen, evaluation, 0)


def test_what_cannot_be_tried_grows_branch_by_branch() -> None:
    table = made_up_table(13, samples=200, branch=0.02)
    objective = SubsetObjective(table=table, cost_weight=0.3, thresholds=THRESHOLDS[::4])
    for bounds in ({"count": 3}, {"most": 4}):
        assert objective.best(**bounds)[1].value >= objective.exhaustive(**bounds)[1].value - 0.01
    assert len(objective.single()) == 1


def test_refuses_what_cannot_be() -> None:
    objective = SubsetObjective(table=made_up_table(3), cost_weight=0.3)
    with pytest.raises(TrainingError, match="number of branches must be at most 3, got 4"):
        objective.exhaustive(count=4)
    with pytest.raises(TrainingError, match="at most 262,144 choices of branches, got 524,288"):
        SubsetObjective(table=made_up_table(19, samples=10), cost_weight=0.3).exhaustive()

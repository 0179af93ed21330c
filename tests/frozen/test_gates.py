"""Gates: within a hair of the best choice there is, whatever the cost weight, the count and the structures."""

import pytest
import torch

from eenas.errors import TrainingError
from eenas.frozen.gates import GateTraining, fit_gates
from eenas.frozen.subsets import SubsetObjective
from tests.frozen.candidate_tables import made_up_table


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("cost_weight", [0.1, 0.3, 1.0])
def test_close_to_the_optimum_and_above_uniform(cost_weight: float) -> None:
    table = made_up_table(7, samples=1000)
    fit = fit_gates(table, cost_weight=cost_weight, training=GateTraining(steps=300))
    objective = SubsetObjective(table=table, cost_weight=cost_weight)
    assert fit.evaluation.value >= objective.exhaustive()[1].value - 0.002
    assert fit.raw_evaluation.value >= objective.exhaustive()[1].value - 0.01
    assert fit.evaluation.value >= fit.raw_evaluation.value
    assert fit.evaluation.value > objective.evaluate((1, 3, 5)).value
    assert len(fit.openness) == 7
    assert fit.fallback == ""


def test_position_and_structure_together() -> None:
    table = made_up_table(4, structures=3, samples=1000)
    fit = fit_gates(table, cost_weight=0.3)
    best = SubsetObjective(table=table, cost_weight=0.3).exhaustive()[1].value
    assert fit.evaluation.value >= best - 0.002
    assert fit.raw_evaluation.value >= best - 0.02
    assert len({table.names[index] for index in fit.chosen}) == len(fit.chosen)
    for group in table.groups:
        assert sum(fit.structures[index] for index in group) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_so_many_and_no_other_number(count: int) -> None:
    table = made_up_table(6)
    fit = fit_gates(table, cost_weight=0.3, count=count, training=GateTraining(steps=300))
    assert len(fit.raw) == len(fit.chosen) == count
    assert (
        fit.evaluation.value >= SubsetObjective(table=table, cost_weight=0.3).exhaustive(count=count)[1].value - 0.002
    )
    assert sum(fit.openness) == pytest.approx(count, abs=0.5)


def test_at_most_so_many() -> None:
    fit = fit_gates(made_up_table(6), cost_weight=1.0, most=2, training=GateTraining(steps=100))
    assert 1 <= len(fit.raw) <= 2
    assert 1 <= len(fit.chosen) <= 2


def test_a_threshold_of_the_callers() -> None:
    table = made_up_table(5)
    fit = fit_gates(table, cost_weight=0.3, threshold=0.8, training=GateTraining(steps=300))
    assert fit.evaluation.threshold == 0.8
    objective = SubsetObjective(table=table, cost_weight=0.3, thresholds=(0.8,))
    assert fit.evaluation.value >= objective.exhaustive()[1].value - 0.002


def test_every_gate_closed_falls_back_on_the_best_single_branch() -> None:
    table = made_up_table(4, branch=2.0)  # a branch costs twice the backbone
    fit = fit_gates(table, cost_weight=0.5, training=GateTraining(steps=200))
    single = SubsetObjective(table=table, cost_weight=0.5).single()
    assert fit.raw == fit.chosen == single
    assert fit.fallback == (
        f"every gate closed (cost_weight 0.5); started from the best single branch, {table.names[single[0]]}"
    )


def test_the_same_seed_gives_the_same_gates() -> None:
    table = made_up_table(5)
    first, again, other = (
        fit_gates(table, cost_weight=0.3, training=GateTraining(steps=50), seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.openness != other.openness


def test_refuses_counts_that_cannot_stand() -> None:
    with pytest.raises(TrainingError, match=r"number of branches must be 0 \(any\) or from 1 to 3, got 4"):
        fit_gates(made_up_table(3), cost_weight=0.3, count=4)

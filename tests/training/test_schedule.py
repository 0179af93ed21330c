"""Budgets and learning rates."""

import pytest

from eenas.errors import SpecError
from eenas.training.schedule import BudgetClock, rate_at
from eenas.training.spec import TrainingSpec


def test_the_rate_rises_then_falls_to_zero():
    assert rate_at(0.0, 0.1) < 0.02
    assert rate_at(0.1, 0.1) == pytest.approx(1.0)
    assert rate_at(0.55, 0.1) == pytest.approx(0.5)
    assert rate_at(1.0, 0.1) == pytest.approx(0.0, abs=1e-12)
    rates = [rate_at(step / 100, 0.0) for step in range(101)]
    assert rates == sorted(rates, reverse=True)


def test_each_unit_of_budget():
    clock = BudgetClock(TrainingSpec(epochs=0.5), 100)
    clock.samples = 25
    assert clock.progress == 0.5
    clock = BudgetClock(TrainingSpec(samples=50), 100)
    clock.samples = 60
    assert clock.progress == 1.0
    assert BudgetClock(TrainingSpec(seconds=10.0), 100, seconds=5.0).progress == pytest.approx(0.5, abs=0.01)


def test_parts_of_a_budget_add_up_to_it_though_no_batch_is_cut():
    spec, used, owed = TrainingSpec(samples=100), 0, 0.0
    for part in ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0)):
        clock = BudgetClock(spec, 1000, part=part, owed=owed)
        while clock.progress < 1.0:
            clock.samples += 16
        used, owed = used + clock.samples, clock.over
    assert used == 112  # seven batches, not nine


def test_a_part_has_a_batch_even_when_the_parts_before_used_it_up():
    clock = BudgetClock(TrainingSpec(samples=10), 1000, part=(0.5, 1.0), owed=11.0)
    assert clock.progress == 0.0
    clock.samples = 16
    assert clock.progress == 1.0
    by_time = BudgetClock(TrainingSpec(seconds=0.001), 1000, part=(0.5, 1.0), owed=1.0)
    assert by_time.progress < 1.0
    by_time.samples = 16
    assert by_time.progress == 1.0
    late = BudgetClock(TrainingSpec(seconds=1.0), 1000, seconds=5.0)
    assert late.progress < 1.0
    late.samples = 16
    assert late.progress == 1.0


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({}, "exactly one"),
        ({"epochs": 1, "samples": 5}, "exactly one"),
        ({"epochs": 0}, "positive"),
        ({"epochs": 1, "batch_size": 1}, "at least 2"),
        ({"epochs": 1, "warmup": 1.0}, "warmup"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(table, text):
    with pytest.raises(SpecError, match=text):
        TrainingSpec(**table)

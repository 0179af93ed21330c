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

"""Temperatures: the best of a fine grid, one where the data say nothing, and never another class."""

import numpy as np
import pytest
from hypothesis import given

from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import HIGHEST, LOWEST, fit_temperatures, negative_log_likelihood
from tests.policies.tables import random_table, tables


def slow_likelihood(logits, labels, temperature):
    tempered = logits.astype(np.float64) / temperature
    tempered -= tempered.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(tempered).sum(axis=1)) - tempered[np.arange(len(labels)), labels]))


def one_exit(logits, labels):
    return ExitTable(
        logits=np.asarray(logits)[:, None], labels=np.asarray(labels), exits=("final",), costs=Costs.of(macs=[1.0])
    )


def test_no_temperature_of_a_fine_grid_is_better():
    table = random_table(samples=400, exits=3)
    fitted = fit_temperatures(table)
    grid = np.exp(np.linspace(np.log(LOWEST), np.log(HIGHEST), 2000))
    for k, temperature in enumerate(fitted):
        values = [slow_likelihood(table.logits[:, k], table.labels, value) for value in grid]
        reached = slow_likelihood(table.logits[:, k], table.labels, temperature)
        assert reached <= min(values) + 1e-12
        assert abs(np.log(temperature / grid[int(np.argmin(values))])) < 0.01
        assert negative_log_likelihood(table.logits[:, k], table.labels, temperature) == pytest.approx(reached)


@given(tables())
def test_never_worse_than_one_and_always_in_bounds(table):
    fitted = fit_temperatures(table)
    assert fitted.shape == (table.num_exits,)
    assert ((fitted >= LOWEST) & (fitted <= HIGHEST)).all()
    for k, temperature in enumerate(fitted):
        logits = table.logits[:, k]
        before, after = (slow_likelihood(logits, table.labels, value) for value in (1.0, temperature))
        assert after <= before + 1e-12


def test_scaled_logits_scale_the_temperature():
    table = random_table(samples=300, exits=1)
    scaled = ExitTable(
        logits=table.logits * 2, labels=table.labels, exits=table.exits, costs=Costs.of(macs=table.costs["macs"])
    )
    assert fit_temperatures(scaled) == pytest.approx(2 * fit_temperatures(table), rel=1e-5)


def test_one_where_every_sample_is_right():
    labels = np.arange(40) % 4
    assert fit_temperatures(one_exit(np.eye(4)[labels] * 0.3, labels)).tolist() == [1.0]


def test_one_where_logits_are_constant():
    assert fit_temperatures(one_exit(np.full((40, 4), 2.5), np.arange(40) % 4)).tolist() == [1.0]


def test_one_where_a_class_is_missing():
    table = random_table(samples=300)
    seen = table.take(table.labels != 2)
    assert fit_temperatures(seen).tolist() == [1.0] * 4
    assert (fit_temperatures(table) != 1).all()


def test_an_exit_that_is_always_wrong_is_flattened_to_the_bound():
    labels = np.arange(40) % 4
    assert fit_temperatures(one_exit(np.eye(4)[(labels + 1) % 4] * 9, labels)) == pytest.approx([HIGHEST])


def test_huge_logits_raise_no_warning():
    labels = np.arange(40) % 4
    wrong = np.eye(4)[np.where(np.arange(40) < 5, (labels + 1) % 4, labels)] * 1e38
    assert fit_temperatures(one_exit(wrong, labels)) == pytest.approx([HIGHEST])

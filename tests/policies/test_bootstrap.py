"""The paired bootstrap: its interval covers, and pairing matters."""

import numpy as np
import pytest

from eenas.errors import PolicyError
from eenas.policies.bootstrap import costs_of_leaving, paired_bootstrap


def test_difference_is_that_of_the_means_and_lies_in_the_interval():
    generator = np.random.default_rng(0)
    a, b = generator.random(800) < 0.8, generator.random(800) < 0.75
    difference, low, high = paired_bootstrap(a, b, seed=1)
    assert difference == pytest.approx(a.mean() - b.mean())
    assert low < difference < high
    error = np.std(a.astype(float) - b.astype(float)) / np.sqrt(800)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_equal_answers_leave_no_doubt():
    a = np.random.default_rng(0).random(100) < 0.5
    assert paired_bootstrap(a, a, seed=0) == (0.0, 0.0, 0.0)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    covered = 0
    for seed in range(100):
        a, b = generator.random(200) < 0.8, generator.random(200) < 0.7
        _, low, high = paired_bootstrap(a, b, rounds=200, seed=seed)
        covered += low <= 0.1 <= high
    assert 85 <= covered <= 100


def test_costs_are_compared_alike():
    costs = np.array([1.0, 2.0, 4.0])
    a, b = costs_of_leaving(np.array([0, 1, 2, 2]), costs), costs_of_leaving(np.array([2, 2, 2, 2]), costs)
    difference, low, high = paired_bootstrap(a, b, seed=0)
    assert difference == pytest.approx(-1.25)
    assert low <= difference <= high


def test_the_seed_decides():
    a, b = np.random.default_rng(0).random((2, 50))
    assert paired_bootstrap(a, b, seed=5) == paired_bootstrap(a, b, seed=5)
    assert paired_bootstrap(a, b, seed=5) != paired_bootstrap(a, b, seed=6)


@pytest.mark.parametrize(
    ("a", "b", "rounds", "message"),
    [
        ([], [], 10, "needs a sample"),
        ([1], [1], 0, "needs a sample and a round"),
        ([1, 0], [1], 10, "same samples"),
        ([[1]], [[1]], 10, "same samples"),
        ([np.nan], [1.0], 10, "finite"),
    ],
)
def test_errors(a, b, rounds, message):
    with pytest.raises(PolicyError, match=message):
        paired_bootstrap(np.array(a), np.array(b), rounds=rounds, seed=0)

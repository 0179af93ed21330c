"""Exact tests of shares against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eenas.errors import PolicyError
from eenas.policies.proportions import above_chance, higher, largest_share, right_more_often


@given(st.integers(1, 400), st.data(), st.floats(0.01, 0.99))
def test_above_chance_is_the_binomial_test(samples, data, chance):
    right = data.draw(st.integers(0, samples))
    expected = stats.binomtest(right, samples, chance, alternative="greater").pvalue
    assert above_chance(right, samples, chance) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_higher_is_the_exact_test_of_fisher(a, b, data):
    right_a, right_b = data.draw(st.integers(0, a)), data.draw(st.integers(0, b))
    expected = stats.fisher_exact([[right_a, a - right_a], [right_b, b - right_b]], alternative="greater").pvalue
    assert higher(right_a, a, right_b, b) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_only_samples_that_one_has_right_count():
    a = np.array([True] * 8 + [False] * 2 + [True] * 90)
    b = np.array([False] * 8 + [True] * 2 + [True] * 90)
    assert right_more_often(a, b) == pytest.approx(stats.binomtest(8, 10, 0.5, alternative="greater").pvalue)
    assert right_more_often(a, a) == 1.0


def test_the_largest_class_sets_chance():
    assert largest_share(np.array([0, 0, 0, 2])) == 0.75


@pytest.mark.parametrize(
    "call",
    [
        lambda: above_chance(3, 2, 0.5),
        lambda: higher(1, 1, 0, 0),
        lambda: largest_share(np.array([], dtype=np.int64)),
        lambda: right_more_often(np.array([True]), np.array([True, False])),
    ],
)
def test_what_is_no_share_is_refused(call):
    with pytest.raises(PolicyError, match="got"):
        call()

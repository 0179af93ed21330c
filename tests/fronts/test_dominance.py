"""Dominance against the obvious double loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import FrontError
from eenas.fronts.dominance import pareto_mask


def slow_mask(values, maximise):
    signed = [[-v if up else v for v, up in zip(row, maximise, strict=True)] for row in values]

    def dominates(a, b):
        return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))

    return [not any(dominates(other, row) for other in signed) for row in signed]


@given(
    st.integers(1, 4).flatmap(
        lambda d: st.tuples(st.lists(st.tuples(*[st.integers(0, 4)] * d), max_size=25), st.tuples(*[st.booleans()] * d))
    )
)
def test_equals_the_double_loop(given_values):
    values, maximise = given_values
    assert pareto_mask(values, maximise).tolist() == slow_mask(values, maximise)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_many_points(dimensions):
    values = np.random.default_rng(0).normal(size=(300, dimensions))
    maximise = (True, False, False)[:dimensions]
    assert pareto_mask(values, maximise).tolist() == slow_mask(values.tolist(), maximise)


def test_equal_points_all_stay_and_infinity_is_a_value():
    assert pareto_mask([[1, 2], [1, 2], [0, 3]], (True, False)).tolist() == [True, True, False]
    assert pareto_mask([[1, np.inf], [1, 2]], (True, False)).tolist() == [False, True]


def test_no_point_is_an_empty_front():
    assert pareto_mask(np.zeros((0, 2)), (True, False)).tolist() == []
    assert pareto_mask([], (True, False, False)).tolist() == []


def test_the_values_given_are_not_changed():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    pareto_mask(values, (True, True))
    assert values.tolist() == [[1, 2], [3, 4]]


def test_errors():
    with pytest.raises(FrontError, match="NaN"):
        pareto_mask([[1, np.nan]], (True, False))
    with pytest.raises(FrontError, match=r"\[points, 2\]"):
        pareto_mask([[1, 2, 3]], (True, False))
    with pytest.raises(FrontError, match=r"\[points, 0\]"):
        pareto_mask([], ())

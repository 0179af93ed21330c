"""The choice of a point: the knee, and the cheapest that is accurate enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import FrontError
from eenas.fronts.choice import cheapest_within, knee
from eenas.fronts.dominance import pareto_mask

ACCURACY = np.array([0.5, 0.88, 0.9, 0.6, 0.7])
COST = np.array([0.1, 0.4, 1.0, 0.9, 0.2])

points = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1.2)), min_size=1, max_size=20)


def test_knee_is_where_the_front_bends():
    assert knee(ACCURACY, COST) == 1


@given(points)
def test_knee_is_never_dominated(values):
    accuracy, cost = np.array(values).T
    assert pareto_mask(np.array(values), (True, False))[knee(accuracy, cost)]


def test_knee_without_a_bend_is_the_most_accurate():
    assert knee([0.7], [1.0]) == 0
    assert knee([0.9, 0.7], [1.0, 0.3]) == 0
    assert knee([0.5, 0.6, 0.9], [0.1, 0.5, 1.0]) == 2


def test_the_cheapest_above_a_floor():
    assert cheapest_within(ACCURACY, COST, floor=0.88) == 1
    assert cheapest_within(ACCURACY, COST, floor=0.9) == 2
    assert cheapest_within(ACCURACY, COST, floor=0.7) == 4
    assert cheapest_within(ACCURACY, COST, floor=0.91) is None
    assert cheapest_within([0.8, 0.9], [0.5, 0.5], floor=0.7) == 1, "of equals the most accurate"
    assert cheapest_within([], [], floor=0.0) is None


def test_no_point_and_broken_points():
    with pytest.raises(FrontError, match="no point"):
        knee([], [])
    with pytest.raises(FrontError, match="one accuracy and one cost"):
        knee([0.5], [])
    with pytest.raises(FrontError, match="NaN"):
        knee([np.nan], [1.0])

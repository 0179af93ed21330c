"""The choice of a point: the knee, and the best that holds what was asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import FrontError
from eenas.fronts.choice import choose, knee
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


def test_accepted_drop_gives_the_cheapest():
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_accuracy_drop=0.02) == 1
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_accuracy_drop=0.0) == 2
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_accuracy_drop=0.2) == 4


def test_a_budget_gives_the_most_accurate():
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_macs=0.5) == 1
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_macs=0.3) == 4


def test_both_give_the_cheapest_that_holds_both():
    assert choose(ACCURACY, COST, baseline_accuracy=0.9, max_accuracy_drop=0.25, max_macs=0.5) == 4


def test_neither_gives_the_knee():
    assert choose(ACCURACY, COST, baseline_accuracy=0.9) == knee(ACCURACY, COST)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"max_accuracy_drop": 0.01},
            r"drop of at most 0\.01.*nearest is at 1 of the MACs, accuracy 0\.9000 \(-0\.0500\)",
        ),
        ({"max_macs": 0.05}, r"0\.05 of the backbone's MACs.*nearest is at 0\.1 of"),
        ({"max_accuracy_drop": 0.06, "max_macs": 0.5}, r"and at most 0\.5.*nearest is at 0\.4 of"),
    ],
)
def test_what_nothing_holds_names_the_nearest(asked, message):
    with pytest.raises(FrontError, match=message):
        choose(ACCURACY, COST, baseline_accuracy=0.95, **asked)


def test_no_point_and_broken_points():
    with pytest.raises(FrontError, match="no point"):
        knee([], [])
    with pytest.raises(FrontError, match="an accuracy and a cost"):
        choose([0.5], [], baseline_accuracy=0.9)
    with pytest.raises(FrontError, match="NaN"):
        knee([np.nan], [1.0])

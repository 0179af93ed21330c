"""The hypervolume against counting cells, and its properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import FrontError
from eenas.fronts.hypervolume import hypervolume, most_added

points = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 13)), max_size=8)


def area(values, cost=11, accuracy=1):
    columns = [[value[i] for value in values] for i in (0, 1)]
    return hypervolume(*columns, reference_cost=cost, reference_accuracy=accuracy)


def slow_area(values, cost=11, accuracy=1):
    """Cells of the grid whose best corner some point reaches."""
    return sum(
        any(a >= row + 1 and c <= column for a, c in values) for row in range(accuracy, 10) for column in range(cost)
    )


@given(points)
def test_equals_counting_cells(values):
    assert area(values) == pytest.approx(slow_area(values))


@given(points, st.tuples(st.integers(0, 10), st.integers(0, 13)))
def test_one_more_point_never_takes_away(values, more):
    assert area([*values, more]) >= area(values) - 1e-12


def test_known_areas():
    assert hypervolume([0.9], [0.5], reference_cost=1.1, reference_accuracy=0.1) == pytest.approx(0.8 * 0.6)
    two = hypervolume([0.9, 0.5], [1.0, 0.2], reference_cost=1.1, reference_accuracy=0.1)
    assert two == pytest.approx(0.4 * 0.9 + 0.4 * 0.1)
    assert hypervolume([], [], reference_cost=1.1, reference_accuracy=0.1) == 0
    assert hypervolume([0.05, 0.9], [0.1, 1.2], reference_cost=1.1, reference_accuracy=0.1) == 0


def test_errors():
    with pytest.raises(FrontError, match="NaN"):
        hypervolume([np.nan], [1.0], reference_cost=1.1, reference_accuracy=0.1)
    with pytest.raises(FrontError, match="NaN"):
        hypervolume([0.5], [np.nan], reference_cost=1.1, reference_accuracy=0.1)
    with pytest.raises(FrontError, match="one accuracy and one cost"):
        hypervolume([0.5], [], reference_cost=1.1, reference_accuracy=0.1)
    with pytest.raises(FrontError, match="finite"):
        hypervolume([0.5], [1], reference_cost=np.nan, reference_accuracy=0.1)


def test_most_added_takes_what_adds_most_and_stops_where_nothing_does():
    random = np.random.default_rng(0)
    curves = [(random.uniform(0.1, 0.9, 5), random.uniform(0.1, 1.0, 5)) for _ in range(12)]
    reference = {"reference_cost": 1.1, "reference_accuracy": 0.1}

    def area(indices):
        chosen = [curves[index] for index in indices]
        return hypervolume(*(np.concatenate(column) for column in zip(*chosen, strict=True)), **reference)

    taken = most_added(curves, 12, **reference)
    assert len(taken) == len(set(taken))
    assert area(taken) == pytest.approx(area(range(12)))
    for length in range(1, len(taken) + 1):
        others = [area([*taken[: length - 1], other]) for other in range(12)]
        assert area(taken[:length]) == pytest.approx(max(others))
    assert most_added(curves, 2, **reference) == taken[:2]
    assert most_added([], 2, **reference) == most_added(curves, 0, **reference) == []
    assert most_added([curves[0], curves[0]], 2, **reference) == [0]

"""The choices of a front."""

import numpy as np
import pytest

from eenas.errors import FrontError
from eenas.fronts.choices import choices


def right(*counts, samples=400):
    return np.stack([np.arange(samples) < count for count in counts])


def test_only_what_is_better_beyond_noise_is_a_choice_beside_something_cheaper():
    accuracy, costs = [0.9, 0.9025, 0.95], [[1.0], [2.0], [3.0]]
    mask = choices(accuracy, costs, floor=0.1, right=right(360, 361, 380))
    assert mask.tolist() == [True, False, True]


def test_a_point_that_is_cheaper_in_another_respect_stays():
    accuracy, costs = [0.9, 0.9025], [[1.0, 5.0], [2.0, 3.0]]
    assert choices(accuracy, costs, floor=0.1, right=right(360, 361)).all()


def test_what_is_cheaper_by_less_than_can_be_told_and_clearly_worse_is_no_choice():
    accuracy, costs = [0.2, 0.95], [[1.0, 0.69], [1.02, 0.68]]
    assert choices(accuracy, costs, floor=0.1, right=right(80, 380)).tolist() == [False, True]
    far = [[1.0, 0.5], [1.2, 0.68]]
    assert choices(accuracy, far, floor=0.1, right=right(80, 380)).all()


def test_the_floor_is_no_choice_and_without_answers_only_it_counts():
    accuracy, costs = [0.1, 0.11, 0.5], [[1.0], [2.0], [3.0]]
    assert choices(accuracy, costs, floor=0.1).tolist() == [False, True, True]


@pytest.mark.parametrize(("accuracy", "costs"), [([0.1], [[1.0], [2.0]]), ([0.1], [1.0])])
def test_shapes_that_differ_are_refused(accuracy, costs):
    with pytest.raises(FrontError, match=r"\[M, D\]"):
        choices(accuracy, costs, floor=0.0)

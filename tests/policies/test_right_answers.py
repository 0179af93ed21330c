"""Right answers packed into a text and read again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import PolicyError
from eenas.policies.bootstrap import interval_of_counts
from eenas.policies.right_answers import pack, unpack


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_they_come_back(values):
    assert unpack(pack(np.array(values))).tolist() == values


@pytest.mark.parametrize("text", ["", "3", "x:abc", "5:!!!", "7:eJwDAAAAAAE="])
def test_anything_else_is_refused(text):
    with pytest.raises(PolicyError, match="not a list of correct answers"):
        unpack(text)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(PolicyError, match="bootstrap of counts"):
        interval_of_counts(*counts)


def test_no_difference_has_an_empty_interval():
    assert interval_of_counts(0, 0, 10) == (0.0, 0.0)

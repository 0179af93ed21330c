"""Rank correlation and overlap of maps, against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from eenas.networks.explanations.map_agreement import overlap, spearman

values = st.lists(st.integers(0, 5), min_size=6, max_size=6)


@given(values, values)
def test_the_rank_correlation_is_that_of_scipy(one, other):
    maps = [np.array([each], dtype=np.float32).reshape(1, 2, 3) for each in (one, other)]
    (found,) = spearman(*maps)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert np.isnan(found)
        assert np.isnan(overlap(*maps)).all()
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic)


def test_the_overlap_is_that_of_the_most_relevant_fifth():
    one = np.arange(20, dtype=np.float32).reshape(1, 4, 5)  # the last four places are the most relevant
    assert overlap(one, one) == [1.0]
    assert overlap(one, -one) == [0.0]
    shifted = np.roll(one, 2, axis=None).reshape(1, 4, 5)  # its most relevant ones are 18, 19, 0, 1 of the order
    assert overlap(one, shifted)[0] == pytest.approx(2 / 6) or overlap(one, shifted)[0] == 0
    assert overlap(one, one[:, ::-1], top=0.5)[0] == pytest.approx(0)

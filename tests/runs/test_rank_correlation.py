"""Kendall's tau-b against its definition, pair by pair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.runs.rank_correlation import MIN_NETWORKS, rank_correlation


def by_pairs(one, other):
    """Concordant minus discordant pairs over the geometric mean of those not tied in either score."""
    above = tied_in_one = tied_in_other = pairs = 0
    for i in range(len(one)):
        for j in range(i):
            a, b = np.sign(one[i] - one[j]), np.sign(other[i] - other[j])
            above += a * b
            tied_in_one += a == 0
            tied_in_other += b == 0
            pairs += 1
    return above / math.sqrt((pairs - tied_in_one) * (pairs - tied_in_other))


def agree(one, other):
    return rank_correlation(np.array(one, dtype=np.float64), np.array(other, dtype=np.float64))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_it_is_what_the_definition_says_or_why_not(scores):
    one, other = [a for a, _ in scores], [b for _, b in scores]
    found = agree(one, other)
    assert found.networks == len(scores)
    if len(scores) < MIN_NETWORKS:
        assert (found.tau, found.why) == (None, "too few")
    elif len(set(one)) == 1 or len(set(other)) == 1:
        assert (found.tau, found.why) == (None, "all equal")
    else:
        assert found.why == ""
        assert found.tau == pytest.approx(by_pairs(one, other))
    pairs = [(i, j) for i in range(len(one)) for j in range(i)]
    assert found.ties == sum(one[i] == one[j] or other[i] == other[j] for i, j in pairs)


def test_same_and_opposite_order():
    assert agree([1, 2, 3, 4], [0.1, 0.2, 0.5, 0.9]).tau == 1
    assert agree([1, 2, 3, 4], [4, 3, 2, 1]).tau == -1
    assert agree([1, 2, 2, 4], [1, 3, 3, 9]).tau == pytest.approx(1)
    assert agree([1, 2, 2, 4], [1, 3, 3, 9]).ties == 1

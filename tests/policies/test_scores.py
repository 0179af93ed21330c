"""Scores: against their definitions, in their range, monotone, and the same alone as in a batch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.errors import PolicyError
from eenas.policies.scores import SCORES, branch_scores, reaches, score
from tests.policies.tables import random_table

numbers = st.floats(-60, 60, width=32)
rows = st.lists(numbers, min_size=2, max_size=6)
kinds = st.sampled_from(sorted(SCORES))
temperatures = st.floats(0.05, 20)


def slow_score(row, temperature, kind):
    """The definition, in Python's floats."""
    exponents = [math.exp((value - max(row)) / temperature) for value in row]
    shares = sorted((value / math.fsum(exponents) for value in exponents), reverse=True)
    if kind == "max_softmax":
        return shares[0]
    if kind == "margin":
        return shares[0] - shares[1]
    return 1 + math.fsum(p * math.log(p) for p in shares if p > 0) / math.log(len(row))


def one(row, temperature, kind):
    return float(score(np.array([row], dtype=np.float32), temperature, kind)[0])


@given(rows, temperatures, kinds)
def test_equals_the_definition(row, temperature, kind):
    assert one(row, temperature, kind) == pytest.approx(slow_score(row, temperature, kind), abs=1e-12)


@given(rows, temperatures, kinds, st.floats(1.01, 3))
def test_falls_with_the_temperature(row, temperature, kind, factor):
    assert one(row, temperature * factor, kind) <= one(row, temperature, kind) + 1e-12


@given(rows, temperatures, kinds, st.floats(0.01, 20))
def test_rises_with_the_largest_logit(row, temperature, kind, step):
    raised = list(row)
    raised[int(np.argmax(row))] += step
    assert one(raised, temperature, kind) >= one(row, temperature, kind) - 1e-12


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=40), temperatures, kinds)
def test_a_sample_scores_the_same_alone_and_in_any_batch(batch, temperature, kind):
    logits = np.array(batch, dtype=np.float32)
    together = score(logits, temperature, kind)
    assert ((together >= 0) & (together <= 1)).all()
    alone = np.array([score(row[None], temperature, kind)[0] for row in logits])
    assert np.array_equal(together, alone)
    assert np.array_equal(together, score(logits.astype(np.float64), temperature, kind))
    assert np.array_equal(together, score(np.asfortranarray(logits), temperature, kind))


@pytest.mark.parametrize("kind", sorted(SCORES))
def test_blocks_and_strides_change_no_bit(kind):
    logits = np.random.default_rng(0).normal(size=(700, 3, 401)).astype(np.float32) * 4
    together = branch_scores(logits, (0.7, 1.3, 1.0), kind)
    assert together.shape == (700, 2)
    for k in range(2):
        alone = np.concatenate([score(logits[i : i + 1, k].copy(), (0.7, 1.3)[k], kind) for i in range(700)])
        assert np.array_equal(together[:, k], alone)


@pytest.mark.parametrize("kind", sorted(SCORES))
def test_extremes(kind):
    assert one([0, 0, 0, 0], 1, kind) == pytest.approx(0.25 if kind == "max_softmax" else 0, abs=1e-15)
    assert one([3e38, -3e38], 0.05, kind) == 1
    assert one([1000, 0], 1, kind) == 1
    assert one([math.nan, 0], 1, kind) == 0
    for broken in ([math.inf, math.inf], [math.inf, 0], [-math.inf, 0], [0, -math.inf], [-math.inf] * 2, [0, math.nan]):
        assert one(broken, 1, kind) == 0
        assert reaches(np.array([broken, [0, 9]], np.float32), 1.0, kind, 0.5).tolist() == [False, True]
    assert score(np.zeros((0, 3), np.float32), 1, kind).shape == (0,)


def test_errors():
    with pytest.raises(PolicyError, match="nearest: 'margin'"):
        score(np.zeros((1, 2)), 1, "margins")
    for temperature in (0, -1, math.inf, math.nan):
        with pytest.raises(PolicyError, match="positive"):
            score(np.zeros((1, 2)), temperature)
    with pytest.raises(PolicyError, match="two classes"):
        score(np.zeros((3, 1)))
    with pytest.raises(PolicyError, match="a temperature is needed"):
        branch_scores(random_table().logits, (1, 1))


any_numbers = st.floats(width=32)  # NaN and infinities too


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(st.lists(any_numbers, min_size=n, max_size=n), min_size=1, max_size=12)
    ),
    temperatures,
    kinds,
    st.floats(0, 1),
)
def test_reaching_a_threshold_is_the_score_compared(rows, temperature, kind, threshold):
    logits = np.array(rows, dtype=np.float32)
    exact = score(logits, temperature, kind)
    for limit in (threshold, *exact, *np.nextafter(exact, 0), *np.nextafter(exact, 1)):
        np.testing.assert_array_equal(reaches(logits, temperature, kind, float(limit)), exact >= limit)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (1, 2, 2)])
def test_reaching_refuses_the_shapes_that_a_score_refuses(shape):
    with pytest.raises(PolicyError, match="with at least two classes"):
        reaches(np.zeros(shape, dtype=np.float32), 1.0, "entropy", 0.5)

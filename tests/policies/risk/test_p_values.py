"""P-values against hand-computed values, SciPy, and their own error rates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from eenas.errors import PolicyError
from eenas.policies.risk.p_values import (
    betting_p_value,
    binomial_p_value,
    binomial_tail,
    hoeffding_bentkus_p_value,
    least_samples,
)


def losses(wrong, samples):
    return np.r_[np.ones(wrong), np.zeros(samples - wrong)]


def test_values_computed_by_hand():
    assert binomial_p_value(losses(0, 10), 0.1) == pytest.approx(0.9**10)
    assert binomial_p_value(losses(1, 10), 0.1) == pytest.approx(0.9**10 + 10 * 0.1 * 0.9**9)
    assert hoeffding_bentkus_p_value(losses(0, 10), 0.1) == pytest.approx(0.9**10)  # kl(0, r) = -ln(1 - r)
    kl = 0.1 * math.log(0.1 / 0.5) + 0.9 * math.log(0.9 / 0.5)
    expected = min(math.exp(-20 * kl), math.e * sum(math.comb(20, i) for i in range(3)) / 2**20)
    assert hoeffding_bentkus_p_value(losses(2, 20), 0.5) == pytest.approx(expected)
    # One loss of 0 at a time: the stake is sqrt(2 ln 20 / (2 v)), at most 1, so 1 + 0.5 twice.
    assert betting_p_value([0.0, 0.0], 0.5) == pytest.approx(1 / 1.5**2)
    assert betting_p_value([1.0, 1.0], 0.5) == 1.0
    assert least_samples(0.01, 0.95) == 299
    assert 0.99**299 <= 0.05 < 0.99**298


@given(st.integers(1, 400), st.floats(1e-4, 0.999), st.integers(-1, 401))
def test_the_tail_is_that_of_scipy(samples, share, most):
    assert binomial_tail(samples, share, most) == pytest.approx(binom.cdf(most, samples, share), rel=1e-9, abs=1e-300)


@given(st.integers(1, 300), st.floats(0.005, 0.9), st.data())
def test_more_losses_are_no_better_and_the_exact_test_is_the_tightest(samples, bound, data):
    wrong = data.draw(st.integers(0, samples - 1))
    for test in (binomial_p_value, hoeffding_bentkus_p_value):
        fewer, more = test(losses(wrong, samples), bound), test(losses(wrong + 1, samples), bound)
        assert 0 <= fewer <= more + 1e-12 <= 1 + 2e-12
    exact = binomial_p_value(losses(wrong, samples), bound)
    assert exact <= hoeffding_bentkus_p_value(losses(wrong, samples), bound) * (1 + 1e-9)


@pytest.mark.parametrize("test", [binomial_p_value, hoeffding_bentkus_p_value, betting_p_value])
def test_a_true_hypothesis_is_rejected_as_rarely_as_promised(test):
    generator = np.random.default_rng(0)
    rejected = sum(test((generator.random(400) < 0.05).astype(float), 0.05) <= 0.05 for _ in range(2000))
    assert rejected <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)
    assert sum(test((generator.random(400) < 0.01).astype(float), 0.05) <= 0.05 for _ in range(100)) > 90


def test_losses_between_0_and_1_can_be_bet_on():
    assert betting_p_value(np.full(2000, 0.02), 0.05) < 1e-6
    assert hoeffding_bentkus_p_value(np.full(2000, 0.02), 0.05) < 1e-6
    with pytest.raises(PolicyError, match=r"needs losses of 0 or 1; use the betting bound"):
        binomial_p_value([0.5], 0.1)


@pytest.mark.parametrize("test", [binomial_p_value, hoeffding_bentkus_p_value, betting_p_value])
@pytest.mark.parametrize("wrong", [[], [math.nan], [0.0, 1.5], [-0.1], [[0.0]]])
def test_other_losses_are_refused(test, wrong):
    with pytest.raises(PolicyError, match=r"a list of losses in \[0, 1\], got none, or NaN, or a value out of range"):
        test(wrong, 0.1)
    with pytest.raises(PolicyError, match=r"max_risk must be a number between 0 and 1, both excluded, got nan"):
        test([0.0], math.nan)

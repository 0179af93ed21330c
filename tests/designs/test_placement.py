"""Placement against the formulas, spelled out slowly."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.branches.presets import SDN_SHARES
from eenas.designs import placement
from eenas.errors import DesignError
from eenas.measurement.profile import Profile

SHARES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(count=st.integers(1, 60), data=st.data())
def test_uniform_is_the_rounded_formula(count: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, count))
    blocks = count + 1
    slow = [int(j * blocks / (n + 1) + 0.5 + 1e-9) - 1 for j in range(1, n + 1)]
    assert list(placement.uniform(n, count)) == slow
    assert len(set(slow)) == n
    assert all(0 <= position < count for position in slow)


def test_fractions() -> None:
    assert placement.fractions("linear", 3) == (0.25, 0.5, 0.75)
    assert placement.fractions("pareto", 3) == pytest.approx((0.2, 0.36, 0.488))
    assert placement.fractions("fine", 3) == pytest.approx((0.05, 0.0975, 0.142625))
    assert placement.fractions("gold", 3) == pytest.approx((1.618**-3, 1.618**-2, 1.618**-1))
    for name in placement.DISTRIBUTIONS:
        for n in range(9):
            wanted = placement.fractions(name, n)  # type: ignore[arg-type]
            assert len(wanted) == n
            assert list(wanted) == sorted(wanted)


@given(
    have=st.lists(SHARES, min_size=1, max_size=12).map(sorted),
    wanted=st.lists(SHARES, max_size=12).map(sorted),
)
def test_at_shares_rises_and_takes_the_closest_that_is_left(have: list[float], wanted: list[float]) -> None:
    wanted = wanted[: len(have)]
    chosen = placement.at_shares(wanted, have)
    assert len(chosen) == len(wanted)
    assert all(a < b for a, b in itertools.pairwise(chosen))
    free = [min(range(len(have)), key=lambda i: (abs(have[i] - share), i)) for share in wanted]
    if len(set(free)) == len(free):  # nobody in the way: the plain argmin rule
        room = all(position <= len(have) - (len(free) - index) for index, position in enumerate(free))
        assert not room or list(chosen) == free


def test_sdn_on_even_blocks(make_profile: Callable[..., Profile]) -> None:
    profile = make_profile([i / 20 for i in range(1, 20)])
    have = placement.shares(profile, "macs")
    positions = placement.at_shares(SDN_SHARES, have)
    assert [have[position] for position in positions] == pytest.approx(SDN_SHARES)


def test_candidates_have_work_behind_them(make_profile: Callable[..., Profile]) -> None:
    assert placement.candidates(make_profile([0.3, 0.6, 0.989, 0.995, 1.0])) == (0, 1, 2)


def test_latency_is_refused_when_it_was_not_measured(make_profile: Callable[..., Profile]) -> None:
    assert placement.has_latency(make_profile())
    assert placement.shares(make_profile([0.5, 0.6, 0.7]), "latency") == (0.25, 0.5, 0.75)
    with pytest.raises(DesignError, match="measure"):
        placement.shares(make_profile(latency=False), "latency")

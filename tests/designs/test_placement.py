"""Placement against the formulas, spelled out slowly."""

import itertools
from collections.abc import Callable
from pathlib import Path

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


OWN = """
import numpy as np

def numpy(n, profile): return np.arange(n)
def nothing(n, profile): return None
def number(n, profile): return 3
def floats(n, profile): return [0.0] * n
def booleans(n, profile): return [True] * n
def arrays(n, profile): return np.zeros((n, 1))
def names(n, profile): return ["block1"] * n
def falling(n, profile): return range(n)[::-1]
def few(n, profile): return ()
def late(n, profile): return range(9 - n, 9)
def alone(n): return range(n)
def greedy(n, profile, metric): return range(n)
word = "middle"
"""
RULE = r"^placement.kind = '\./own.py:{}': must place 2 branches at rising positions from 0 to 7"


def own(folder: Path, name: str) -> str:
    (folder / "own.py").write_text(OWN)
    placement.PLACEMENTS.find(f"./own.py:{name}", trust_code=True, relative_to=folder)
    return f"./own.py:{name}"


def test_integers_of_numpy_are_positions(tmp_path: Path, make_profile: Callable[..., Profile]) -> None:
    found = placement.placed_by(own(tmp_path, "numpy"), 3, make_profile())
    assert found == (0, 1, 2)
    assert {type(each) for each in found} == {int}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing", " and return a sequence of them, got None$"),
        ("number", " and return a sequence of them, got 3$"),
        ("floats", r"; positions must be integers, got 0\.0; return indices of candidates\(profile\)$"),
        ("booleans", "; positions must be integers, got True; return indices"),
        ("arrays", r"; positions must be integers, got array\(\[0\.\]\); return indices"),
        ("names", "; positions must be integers, got 'block1'"),
        ("falling", r", got \[1, 0\]$"),
        ("few", r", got \[\]$"),
        ("late", r", got \[7, 8\]$"),
    ],
)
def test_an_own_rule_that_returns_no_positions_is_named(
    tmp_path: Path, make_profile: Callable[..., Profile], name: str, text: str
) -> None:
    with pytest.raises(DesignError, match=RULE.format(name) + text):
        placement.placed_by(own(tmp_path, name), 2, make_profile([index / 10 for index in range(1, 9)]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("alone", r"alone must take 2 arguments, alone\(n, profile\), got alone\(n\)$"),
        ("greedy", r"greedy must take 2 arguments, greedy\(n, profile\), got greedy\(n, profile, metric\)$"),
        ("word", "a placement is a function of a number and a profile, got 'middle'$"),
    ],
)
def test_what_is_no_rule_of_placement_is_refused_when_it_is_loaded(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(DesignError, match=rf"^\./own.py:{name}: {text}"):
        own(tmp_path, name)

"""Choices, ranges and keys: what they accept and what they say when they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eenas.designs.domains import Categorical, FloatRange, IntRange, Key
from eenas.errors import SpecError

WIDTH = Key(type=int, default=32, least=1, meaning="")
RATE = Key(type=float, default=0.1, least=0, above=True, meaning="")
KIND = Key(type=str, default="fc", choices=("fc", "pool_fc"), meaning="", open=True)
FLAG = Key(type=bool, default=True, meaning="")


def test_reads_the_three_kinds_of_value() -> None:
    assert WIDTH.read([16, 32], where="") == Categorical((16, 32))
    assert WIDTH.read({"low": 1, "high": 3}, where="") == IntRange(1, 3)
    assert RATE.read({"low": 0.01, "high": 1, "log": True}, where="") == FloatRange(0.01, 1.0, log=True)
    assert WIDTH.read(64, where="") == 64
    assert KIND.read("./mine.py:Branch", where="") == "./mine.py:Branch"


def test_one_value_is_fixed() -> None:
    assert WIDTH.read([16], where="") == 16
    assert WIDTH.read({"low": 16, "high": 16}, where="") == 16
    assert RATE.read({"low": 0.5, "high": 0.5}, where="") == 0.5


def test_whole_numbers_become_floats_where_floats_are_meant() -> None:
    value = RATE.read([0.1, 1], where="")
    assert isinstance(value, Categorical)
    assert [type(choice) for choice in value.choices] == [float, float]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (WIDTH, "wide", "must be a whole number, got 'wide'"),
        (WIDTH, True, "must be a whole number, got True"),
        (WIDTH, 0, "must be at least 1, got 0"),
        (WIDTH, [16, 16], "got 16 twice"),
        (WIDTH, [], "at least one value"),
        (WIDTH, {"low": 4}, "'high' is missing"),
        (WIDTH, {"low": 4, "hgh": 5}, "unknown key 'hgh' of a range; nearest: 'high'"),
        (WIDTH, {"low": 5, "high": 4}, "low must not be above high"),
        (WIDTH, {"low": 1, "high": 4, "step": 2}, "whole number of steps"),
        (WIDTH, {"low": 1, "high": 4, "step": 0.5}, "step must be a whole number"),
        (WIDTH, {"low": 1, "high": 4, "step": 3, "log": True}, "either step or log"),
        (WIDTH, {"low": 1, "high": 4, "log": 1}, "log must be true or false"),
        (RATE, 0.0, "must be above 0"),
        (RATE, float("nan"), "must be above 0"),
        (KIND, "pool_cf", "unknown value 'pool_cf'; nearest: 'pool_fc'"),
        (KIND, {"low": 0, "high": 1}, "a range needs numbers"),
        (FLAG, 1, "must be true or false, got 1"),
    ],
)
def test_refuses_with_place_rule_and_value(key: Key, value: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        key.read(value, where="mine.toml: [branch.width]")
    assert str(caught.value).startswith("mine.toml: [branch.width]: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_true_is_not_one() -> None:
    assert not Categorical((0, 1)).contains(True)
    assert not Categorical((True, False)).contains(1)
    assert not IntRange(0, 3).contains(True)


@given(
    low=st.integers(-20, 20),
    count=st.integers(1, 9),
    step=st.integers(1, 4),
    value=st.floats(-90, 90),
)
def test_nearest_of_a_grid_is_the_closest_value(low: int, count: int, step: int, value: float) -> None:
    for domain in (
        IntRange(low, low + count * step, False, step),
        FloatRange(float(low), float(low + count * step), False, float(step)),
        Categorical(tuple(range(low, low + count * step + 1, step))),
    ):
        values = domain.values()
        assert values is not None
        nearest = domain.nearest(value)
        assert nearest in values
        assert domain.contains(nearest)
        assert abs(float(nearest) - value) == min(abs(float(each) - value) for each in values)


def test_continuous_range_clips() -> None:
    domain = FloatRange(0.2, 1.0)
    assert domain.values() is None
    assert (domain.nearest(0.1), domain.nearest(0.5), domain.nearest(3)) == (0.2, 0.5, 1.0)
    assert not domain.contains(1.01)

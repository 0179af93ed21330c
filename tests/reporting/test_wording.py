"""How numbers read."""

import pytest

from eenas.errors import plural
from eenas.percent import percent
from eenas.reporting.facts.wording import (
    cost_text,
    cost_word,
    duration,
    enumerated,
    milliseconds,
    place,
    quantity,
    times,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41_200_000, "41.2 M"),
        (4_089_184_256, "4.09 G"),
        (272_474, "272 k"),
        (999, "999"),
        (999_600, "1.00 M"),
        (0, "0"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(value, text):
    assert quantity(value) == text


def test_a_unit_follows_the_prefix():
    assert quantity(41_200_000, "MACs") == "41.2 M MACs"
    assert quantity(12, "MACs") == "12 MACs"


@pytest.mark.parametrize(
    ("value", "text"), [(0.5234, "0.523 ms"), (5.2, "5.20 ms"), (12.34, "12.3 ms"), (123.4, "123 ms")]
)
def test_milliseconds_have_three_digits(value, text):
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("name", "value", "unit", "text"),
    [
        ("macs", 41_200_000, "MACs", "41.2 M"),
        ("latency", 5.2, "ms", "5.20 ms"),
        ("energy", 12.34, "mJ", "12.3 mJ"),
        ("energy", 0.5234, "mJ", "0.523 mJ"),
        ("energy", 0.00012345, "J", "0.000123 J"),
        ("energy", 0, "mJ", "0 mJ"),
        ("bytes_sent", 123_456, "B", "123 k B"),
        ("price", 3.14159, "", "3.14"),
        ("energy", None, "mJ", "–"),
    ],
)
def test_a_cost_has_three_digits_and_its_unit(name, value, unit, text):
    assert cost_text(name, value, unit) == text


def test_costs_are_named_in_words():
    assert [cost_word(name) for name in ("macs", "latency", "bytes_sent")] == ["MACs", "latency", "bytes sent"]


def test_what_was_not_measured_is_a_dash():
    assert {percent(None), quantity(None), milliseconds(None), times(None)} == {"–"}


def test_shares_and_ratios():
    assert percent(0.5238) == "52.4 %"
    assert percent(1.06, 0) == "106 %"
    assert times(0.583) == "0.58 ×"
    assert [plural(n, "branch", "branches") for n in (1, 2)] == ["1 branch", "2 branches"]


def test_a_cut_point_that_is_a_number_is_told_from_the_number_of_its_exit():
    assert [place(name) for name in ("layer1.0", "3", "2.1", "a3")] == ["layer1.0", "module 3", "module 2.1", "a3"]


def test_hours_are_minutes_below_one():
    assert [duration(hours) for hours in (2.54, 1, 0.5, 0.0578)] == ["2.5 h", "1.0 h", "30 min", "3.5 min"]


def test_enumerations():
    assert [enumerated(words) for words in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]

"""Points of a front where there is no room for all."""

from dataclasses import replace

import pytest

from eenas.reporting.facts.selection import spread
from tests.reporting.studies import study


@pytest.fixture(scope="module")
def front():
    found = study(12).front
    assert len(found) > 12
    return found


@pytest.mark.parametrize("limit", [3, 5, 12])
def test_ends_and_knee_are_among_them_in_order(front, limit):
    chosen = spread(front, limit)
    assert len(chosen) == limit
    assert [item.macs_share for item in chosen] == sorted((item.macs_share for item in chosen), reverse=True)
    assert any(item.knee for item in chosen)
    assert chosen[0].macs_share == max(item.macs_share for item in front)
    assert chosen[-1].macs_share == min(item.macs_share for item in front)


def test_the_recommended_point_is_always_among_them(front):
    for index in range(len(front)):
        marked = [replace(item, recommended=item is front[index]) for item in front]
        chosen = spread(marked, 4)
        assert len(chosen) == 4
        assert sum(item.recommended for item in chosen) == 1
        assert any(item.knee for item in chosen)


def test_a_short_front_is_whole(front):
    assert spread(front, 1000) == front
    assert spread(front, 1)[0].knee
    assert spread(front, 0) == ()
    assert spread((), 5) == ()

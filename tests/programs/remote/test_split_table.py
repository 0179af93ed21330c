"""Split tables: the first row that holds, a robust estimate of the link, and no switch without a lasting reason."""

import logging

import numpy as np
import pytest

from eenas.errors import InputError
from eenas.programs.remote.remote_events import RemoteEvents
from eenas.programs.remote.split_table import LinkMeter, SplitRow, SplitSwitch, SplitTable

TABLE = SplitTable(
    rows=(
        SplitRow(split="", min_mbit=50.0, max_round_trip_ms=20.0),
        SplitRow(split="a", min_mbit=10.0),
        SplitRow(split="b", min_mbit=1.0, point=2),
        SplitRow(split="final"),
    )
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events():
    return RemoteEvents()


def send(switch, mbit, *, round_trip_ms=5.0, times=1, noise=None, size=50_000):
    for _ in range(times):
        factor = 1.0 if noise is None else float(noise.lognormal(sigma=0.3))
        switch.add(size, round_trip_ms / 1e3 + factor * 8e-6 * size / mbit)


def test_the_first_row_that_holds_decides():
    chosen = [
        TABLE.rows[TABLE.choose(mbit, trip)].split for mbit, trip in ((60, 5), (60, 30), (9, 5), (0.5, 5), (0, 1e9))
    ]
    assert chosen == ["", "a", "b", "final", "final"]
    assert SplitTable.from_table(TABLE.to_table()) == TABLE


def test_it_switches_once_the_link_has_changed_and_says_why(clock, events, caplog):
    switch = SplitSwitch(TABLE, events, clock=clock)
    assert switch.row.split == ""
    with caplog.at_level(logging.INFO, logger="eenas.remote"):
        send(switch, 100, round_trip_ms=5, times=9, size=500)
        send(switch, 20, times=12)
        assert switch.row.split == "a"
        send(switch, 4, times=2)
        assert switch.row.split == "a"  # two outliers are no change
        send(switch, 4, times=12)
        assert switch.row.split == "b"
    assert [(one.old, one.new) for one in events.kept] == [("", "a"), ("a", "b at point 2")]
    assert "20" in events.kept[0].why
    assert [record.getMessage() for record in caplog.records][1].startswith("split: a -> b at point 2 (")


@pytest.mark.parametrize("mbit", [10.0, 9.6, 10.4])
def test_it_does_not_swing_at_a_limit(clock, events, mbit):
    switch = SplitSwitch(TABLE, events, clock=clock)
    send(switch, mbit, times=400, noise=np.random.default_rng(0))
    assert len(events.kept) <= 2


def test_a_noisy_link_is_followed_both_ways(clock, events):
    switch, noise = SplitSwitch(TABLE, events, clock=clock), np.random.default_rng(1)
    for mbit, split in ((30, "a"), (3, "b"), (0.2, "final"), (3, "b"), (30, "a")):
        send(switch, mbit, times=40, noise=noise)
        assert switch.row.split == split
    assert len(events.kept) <= 8


def test_at_a_split_that_sends_nothing_the_link_is_measured_now_and_then(clock, events):
    switch = SplitSwitch(TABLE, events, clock=clock, explore_seconds=10.0)
    send(switch, 0.1, times=12)
    assert [switch.next_row().split for _ in range(3)] == ["final"] * 3
    clock.now = 10.5
    assert [switch.next_row().split for _ in range(3)] == ["b", "final", "final"]
    clock.now = 21.0
    assert switch.next_row().split == "b"
    send(switch, 5.0, times=12)
    assert switch.row.split == "b"


def test_single_outliers_do_not_count():
    meter = LinkMeter()
    assert (meter.mbit, meter.round_trip_ms) == (None, 0.0)
    for _ in range(5):
        meter.add(100, 0.010)
    for seconds in (0.09, 0.09, 5.0, 0.09, 0.0901):
        meter.add(100_000, seconds)
    assert meter.mbit == pytest.approx(10.0, rel=0.02)
    assert meter.round_trip_ms == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "a table has 1 to 1,000 rows"),
        ([{"split": "a", "min_mbit": 1.0}], "the last row holds for every link and has no limits"),
        ([{"split": "a", "max_round_trip_ms": 1.0}], "the last row holds for every link"),
        ([{"split": "a", "min_mbit": -1.0}, {"split": "b"}], "row 0: a split, limits of at least 0"),
        ([{"split": "a", "point": -1}], "row 0: a split, limits"),
        ([{"split": 3}], "row 0: a split, limits"),
        ([{"split": "a", "mbit": 1}], "a row has split, min_mbit, max_round_trip_ms, point"),
        ([{}], "a table has rows, each with a split"),
        (None, "a table has rows, each with a split"),
    ],
)
def test_tables_that_cannot_be_are_refused(rows, match):
    with pytest.raises(InputError, match=match):
        SplitTable.from_table({"rows": rows})


def test_only_so_many_events_are_kept(events):
    for number in range(1500):
        events.add("split", str(number), str(number + 1), "")
    assert (len(events.kept), events.kept[-1].new) == (1000, "1500")

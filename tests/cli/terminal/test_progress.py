"""Progress: bars on a terminal, lines elsewhere."""

import io
import re

import pytest

from eenas.cli.terminal.console import Screen
from eenas.cli.terminal.progress import Lines, listening
from eenas.progress import Advanced, Finished, Notice, Started, silent


def lines(*events, step=1.0):
    """The lines that events make, a second apart."""
    written = []
    clock = iter(step * n for n in range(1000))
    listener = Lines(written.append, clock=lambda: next(clock))
    for event in events:
        listener(event)
    return written


def test_phases_notices_and_their_ends_are_lines():
    assert lines(Started("searching", 16), Notice("a default was taken"), Finished("searching", "hypervolume 0.6")) == [
        "searching ...",
        "a default was taken",
        "searching: done, hypervolume 0.6",
    ]


def test_slow_steps_are_all_shown_with_time_left():
    steps = [Advanced("searching", done, f"best {done}") for done in range(4)]
    written = lines(Started("searching", 16), *steps, step=30.0)
    assert written[1:] == [
        "searching: 0 of 16, best 0",
        "searching: 1 of 16, best 1, 8 min left",
        "searching: 2 of 16, best 2, 7 min left",
        "searching: 3 of 16, best 3, 6 min left",
    ]


def test_quick_steps_are_thinned():
    steps = [Advanced("preparing", percent, "loss 1.0") for percent in range(100)]
    written = lines(Started("preparing", 100), *steps, Finished("preparing"), step=0.5)
    assert 3 <= len(written) <= 10
    assert re.fullmatch(r"preparing: \d+ %, loss 1.0, \d+ s left", written[2])
    assert written[-1] == "preparing: done"


def test_a_phase_of_unknown_length_and_one_that_was_not_started():
    assert lines(Started("exporting"), Advanced("exporting", 3), step=30)[1] == "exporting: 3"
    assert lines(Advanced("exporting", 3, "x"), step=30) == ["exporting: 3, x"]


def test_bars_on_a_terminal():
    screen = io.StringIO()
    console = Screen(file=screen, force_terminal=True, width=100, color_system=None)
    with listening(console) as listener:
        listener(Started("searching", 16))
        listener(Advanced("searching", 3, "hypervolume [0.612]"))
        listener(Started("measuring"))
        listener(Advanced("unknown", 3))
        listener(Notice("trial 2 [failed]"))
        listener(Finished("measuring", "41 M MACs"))
        listener(Advanced("searching", 4, "hypervolume [0.7]"))
        listener(Finished("searching", "hypervolume [0.7]"))
    text = screen.getvalue()
    for word in ("trial 2 [failed]", "✓ measuring: 41 M MACs", "✓ searching: hypervolume [0.7]", "3 of 16"):
        assert word in text


def test_plain_lines_elsewhere():
    written = io.StringIO()
    with listening(Screen(file=written, width=40)) as listener:
        listener(Notice("a [bold] line that is longer than the forty columns of this console"))
    assert written.getvalue() == "a [bold] line that is longer than the forty columns of this console\n"


@pytest.mark.parametrize("rank", ["1", "3"])
def test_other_processes_of_torchrun_are_silent(monkeypatch, rank):
    monkeypatch.setenv("RANK", rank)
    with listening() as listener:
        assert listener is silent

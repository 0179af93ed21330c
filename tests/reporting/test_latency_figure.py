"""Latency composed against measured, exit by exit, of the runs of a study."""

from dataclasses import replace
from pathlib import Path

import pytest

from eenas.errors import StudyError
from eenas.reporting.figures.latency_figure import MOST, draw_latency, latency_facts
from tests.reporting.sources import run, taken
from tests.reporting.studies import study

RESULTS = study(6)


def test_each_exit_has_both_latencies():
    report = run(RESULTS)
    facts = latency_facts([report])
    (found,) = facts.runs
    assert (found.name, found.exits) == ("one", tuple(exit_.name for exit_ in report.exits))
    assert found.composed == tuple(exit_.costs["latency"] for exit_ in report.exits)
    assert found.measured == pytest.approx([1.2 * value for value in found.composed])
    assert found.spread == pytest.approx([0.1 * value for value in found.measured])
    assert "1 fully trained network: end to end, an exit takes 1.20 × the composed latency" in facts.subtitles[0]
    assert "1 thread, batch 1, float32" in facts.subtitles[1]


def test_the_extremes_of_all_runs_are_named():
    slow = run(RESULTS)
    slow = replace(slow, exits=(replace(slow.exits[0], end_to_end=taken(1.0)), *slow.exits[1:]))
    assert (
        "2 fully trained networks: end to end, an exit takes 1.20 to 2.00 ×"
        in latency_facts([run(RESULTS), slow]).subtitles[0]
    )


def test_the_drawing_holds_every_exit_of_every_run_with_units():
    facts = latency_facts([run(RESULTS), run(RESULTS, folder=Path("runs/two"))])
    drawing = draw_latency(facts)
    line, first, second = drawing.data
    assert (first.name, second.name) == ("one", "two")
    assert first.marker.symbol != second.marker.symbol
    assert list(first.y) == pytest.approx(facts.runs[0].measured, abs=1e-4)
    assert line.x == line.y
    assert drawing.layout.xaxis.range[1] > max(first.x)
    assert drawing.layout.yaxis.range[1] > max(first.y)
    assert "ms for a sample" in drawing.layout.xaxis.title.text
    assert "ms for a sample" in drawing.layout.yaxis.title.text


def test_the_newest_of_many_runs_are_drawn():
    runs = [run(RESULTS, folder=Path(f"runs/{number}")) for number in range(MOST + 2)]
    assert [each.name for each in latency_facts(runs).runs] == [str(number) for number in range(2, MOST + 2)]


def test_what_is_missing_is_said():
    with pytest.raises(StudyError, match="eenas train"):
        latency_facts([])
    old = run(RESULTS)
    old = replace(old, exits=tuple(replace(exit_, end_to_end=None) for exit_ in old.exits))
    with pytest.raises(StudyError, match=r"no latency was measured exit by exit in one:.*train again"):
        latency_facts([old])
    assert [each.name for each in latency_facts([run(RESULTS, folder=Path("runs/new")), old]).runs] == ["new"]
    untimed = run(RESULTS)
    untimed = replace(untimed, exits=(replace(untimed.exits[0], costs={"macs": 1e6}), *untimed.exits[1:]))
    with pytest.raises(StudyError, match="no latency"):
        latency_facts([untimed])

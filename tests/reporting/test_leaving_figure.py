"""Where samples leave: facts and drawing."""

import pytest

from eenas.reporting.facts.selection import spread, with_best
from eenas.reporting.figures.leaving_figure import draw_leaving, leaving_facts
from tests.reporting.studies import failed, study


@pytest.fixture(scope="module")
def results():
    return study(12)


def test_each_bar_is_a_point_of_the_front_with_all_its_samples(results):
    facts = leaving_facts(results, limit=6)
    shown = with_best(results, spread(results.choices, 6))
    assert len(facts.bars) == len(shown) >= 6
    assert sum(bar.knee for bar in facts.bars) == 1
    points = {(item.name, item.point.shares) for item in shown}
    for bar in facts.bars:
        assert (bar.network, tuple(exit_.share for exit_ in bar.exits)) in points
        assert sum(exit_.share for exit_ in bar.exits) == pytest.approx(1)
        assert bar.exits[-1].exit == "final" or bar.network.startswith("static")


def test_the_bars_rise_in_cost(results):
    labels = [bar.label for bar in leaving_facts(results, limit=1000).bars]
    shown = with_best(results, results.choices)
    assert len(labels) == len(shown) > len(results.choices), "the best within a budget is shown too"
    assert [label.partition("<")[0].removesuffix(" (knee)") for label in labels] == [item.name for item in shown][::-1]


def test_the_drawing_stacks_to_a_hundred_percent(results):
    facts = leaving_facts(results)
    drawing = draw_leaving(facts)
    totals = [0.0] * len(facts.bars)
    for trace in drawing.data:
        for row, share in zip(trace.y, trace.x, strict=True):
            totals[row] += share
    assert totals == pytest.approx([100] * len(facts.bars), abs=0.1)
    assert drawing.data[-1].name == "final exit"
    assert len(drawing.data[-1].x) == sum(bar.exits[-1].exit == "final" for bar in facts.bars)
    assert "%" in drawing.layout.xaxis.title.text
    assert len(drawing.to_json()) < 40_000


@pytest.mark.parametrize("results", [study(0), study(1), study(0, extra=[failed(0)])], ids=["none", "one", "failed"])
def test_every_study_has_a_drawing(results):
    drawing = draw_leaving(leaving_facts(results))
    assert bool(drawing.layout.annotations) == (not results.front)

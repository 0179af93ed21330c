"""The figure of the front: its facts against slow, obvious ones, and its drawing."""

import pytest

from eenas.reporting.facts.summary import shown
from eenas.reporting.figures.front_figure import CLOUD_LIMIT, draw_front, front_facts
from tests.reporting.studies import BACKBONE, failed, infeasible, study, trial


@pytest.fixture(scope="module")
def results():
    return study(12, extra=[failed(90), infeasible(91)])


@pytest.mark.parametrize("cost", ["macs", "latency"])
def test_the_front_is_what_nothing_cheaper_beats(results, cost):
    facts = front_facts(results, cost)
    whole = BACKBONE.costs[cost]
    points = [
        (point.expected[cost] / whole, point.accuracy) for network in results.networks for point in network.points
    ]
    best = {
        (share, accuracy)
        for share, accuracy in points
        if not any((s <= share and a > accuracy) or (s < share and a >= accuracy) for s, a in points)
    }
    assert {(mark.share, mark.accuracy) for mark in facts.front} == best
    assert [mark.share for mark in facts.front] == sorted(mark.share for mark in facts.front)


def test_the_knee_the_baselines_and_the_infeasible_are_marked(results):
    facts = front_facts(results)
    knee = next(item for item in results.front if item.knee)
    assert (facts.knee.share, facts.knee.accuracy) == (knee.macs_share, knee.point.accuracy)
    assert {baseline.name: baseline.stairs for baseline in facts.baselines} == {
        "static networks": False,
        "uniform by hand": True,
    }
    assert [mark.accuracy for mark in facts.baselines[0].marks] == [0.55, 0.71, 0.86]
    assert [mark.network for mark in facts.infeasible] == ["trial 91"]
    assert "max_parameters" in facts.infeasible[0].text
    assert all(mark.network for mark in facts.cloud)


def test_the_drawing_has_units_on_its_axes_and_says_what_the_facts_say(results):
    facts = front_facts(results)
    drawing = draw_front(facts)
    traces = {trace.name: trace for trace in drawing.data}
    baselines = {"plain backbone", "static networks", "uniform by hand"}
    assert set(traces) == {"all networks", "infeasible", "front", "knee", "recommended", *baselines}
    assert facts.picked.accuracy >= facts.backbone_accuracy - 0.01
    assert facts.picked in facts.front
    assert (traces["plain backbone"].x, traces["plain backbone"].y) == ((100,), (100 * BACKBONE.accuracy,))
    assert not drawing.layout.annotations, "a label within the axes hides what is drawn there"
    assert "91.7 % with 41.2 M MACs" in drawing.layout.title.text
    assert list(traces["front"].y) == [round(100 * mark.accuracy, 2) for mark in facts.front]
    assert "%" in drawing.layout.xaxis.title.text
    assert "MACs" in drawing.layout.xaxis.title.text
    assert "%" in drawing.layout.yaxis.title.text
    low, high = drawing.layout.yaxis.range
    assert low <= min(traces["front"].y)
    assert high >= max(traces["front"].y)
    assert drawing.layout.xaxis.range[1] >= 100
    assert {(shape.x0, shape.x1) for shape in drawing.layout.shapes} == {(0, 1), (100, 100)}


def test_another_design_that_is_picked_is_marked_and_in_the_title(results):
    other = next(item for item in results.front if not item.knee and item is not shown(results))
    facts = front_facts(results, "macs", other)
    assert (facts.picked.accuracy, facts.picked.network) == (other.point.accuracy, other.name)
    assert "picked" in {trace.name for trace in draw_front(facts).data}
    assert facts.subtitles[0].startswith(f"{other.name} ")
    knee = next(item for item in results.front if item.knee)
    assert front_facts(results, "macs", knee).picked is None


def test_the_figure_stays_small_with_many_trials():
    results = study(200)
    facts = front_facts(results)
    assert sum(len(trial.points) for trial in results.trials) > 3000
    assert len(facts.cloud) <= CLOUD_LIMIT
    assert len(draw_front(facts).to_json()) < 40_000


@pytest.mark.parametrize("cost", ["macs", "latency"])
@pytest.mark.parametrize(
    "results",
    [study(0), study(1), study(0, extra=[failed(0)]), study(3, latency=False), study(0, extra=[infeasible(0)])],
    ids=["no trial", "one trial", "failures only", "no latency", "infeasible only"],
)
def test_every_study_has_a_drawing(results, cost):
    drawing = draw_front(front_facts(results, cost))
    assert drawing.to_json()
    if not front_facts(results, cost).front:
        assert any("no front" in note.text or "not measured" in note.text for note in drawing.layout.annotations)


def test_backbone_dearer_designs_widen_the_axis():
    widest = trial(1, 6)
    results = study(2)
    facts = front_facts(results)
    assert widest.points
    assert draw_front(facts).layout.xaxis.range[1] <= 150

"""Figures of the whole search: progress, what survives on the front, importances of parameters."""

from dataclasses import replace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from eenas.errors import StudyError
from eenas.reporting.figures import importance_figure
from eenas.reporting.figures.importance_figure import draw_importance, importance_facts
from eenas.reporting.figures.progress_figure import areas, draw_progress, progress_facts
from eenas.reporting.figures.survivors_figure import draw_survivors, survivors_facts
from eenas.results.front import area_by_macs
from tests.reporting.studies import BACKBONE, CUT_POINTS, failed, infeasible, study


@pytest.fixture(scope="module")
def results():
    made = study(9, extra=[failed(9), infeasible(10)])
    trials = tuple(
        replace(trial, frozen_points=trial.points[:6]) if trial.number % 2 and trial.points else trial
        for trial in made.trials
    )
    return replace(made, trials=trials)


def test_progress_is_the_hypervolume_of_everything_so_far(results):
    facts = progress_facts(results)
    seconds = 0.0
    for index, trial in enumerate(results.trials):
        so_far = [t for t in results.trials[: index + 1] if t.points]
        seconds += trial.seconds
        assert facts.hours[index] == pytest.approx(seconds / 3600)
        every = [point for t in so_far for point in t.points]
        assert facts.brief[index] == pytest.approx(area_by_macs(every, BACKBONE, 0.1))
        frozen = [point for t in so_far for point in t.frozen_points]
        assert (facts.frozen[index] or 0) == pytest.approx(area_by_macs(frozen, BACKBONE, 0.1))
    assert facts.brief[-1] == pytest.approx(results.hypervolumes["macs"])
    assert [gain.trial for gain in facts.gains] == [1, 3, 5, 7]
    assert all(gain.brief >= gain.frozen for gain in facts.gains)
    assert len(draw_progress(facts).data) == 5


def test_areas_without_points_are_zero():
    assert areas([(), ()], BACKBONE, 0.1) == [0, 0]


def test_survivors_are_counted_network_by_network(results):
    facts = survivors_facts(results, CUT_POINTS)
    tried = [trial for trial in results.trials if trial.points]
    front = {item.trial for item in results.front if item.trial is not None}
    assert (facts.networks, facts.survivors) == (len(tried), len(front))
    places, families, counts = facts.choices
    for index, place in enumerate(CUT_POINTS):
        having = [t for t in tried if place in [branch.cut_point for branch in t.design.branches]]
        assert places.tried[index] == pytest.approx(len(having) / len(tried))
        assert places.surviving[index] == pytest.approx(sum(t.number in front for t in having) / len(front))
    assert set(families.values) <= {"fc", "pool_fc", "conv_fc", "conv_stack"}
    assert sum(counts.tried) == pytest.approx(1)
    drawing = draw_survivors(facts)
    assert len(drawing.data) == 6
    assert "%" in drawing.layout.yaxis.title.text


@pytest.mark.parametrize("results", [study(0), study(1), study(0, extra=[failed(0)])], ids=["none", "one", "failed"])
def test_every_study_has_drawings(results):
    said = [text.text for text in draw_progress(progress_facts(results)).layout.annotations]
    assert ("no trial has finished with an operating point yet" in said) == (not results.front)
    said = [text.text for text in draw_survivors(survivors_facts(results, CUT_POINTS)).layout.annotations]
    assert ("no trial has finished with an operating point yet" in said) == (not results.front)


@pytest.fixture(scope="module")
def finished():
    """Trials whose first value depends on `a` alone and whose second is the same everywhere."""
    made = optuna.create_study(directions=["maximize", "minimize"])
    space = {"a": FloatDistribution(0, 1), "b": CategoricalDistribution(["x", "y"])}
    for number in range(12):
        params = {"a": number / 11, "b": "xy"[number % 2]}
        made.add_trial(optuna.trial.create_trial(params=params, distributions=space, values=[params["a"], 5.0]))
    return made.get_trials()


def test_the_parameter_that_decides_is_the_most_important(finished):
    facts = importance_facts(finished, ["accuracy", "macs"])
    assert facts.parameters[0] == "a"
    assert facts.importances[0][0] > 0.8
    assert facts.importances[1] == (0, 0)
    assert facts == importance_facts(finished, ["accuracy", "macs"])
    assert [trace.name for trace in draw_importance(facts).data] == ["accuracy", "expected MACs"]


def test_importances_need_some_trials(finished):
    with pytest.raises(StudyError, match="need 4 finished trials, this study has 3"):
        importance_facts(finished, ["accuracy"], infeasible=range(9))


def test_of_many_trials_some_are_taken_evenly(finished, monkeypatch):
    monkeypatch.setattr(importance_figure, "MOST", 5)
    facts = importance_facts(finished, ["accuracy"])
    assert facts.trials == 5
    assert "among 5 of 12 trials" in facts.subtitles[0]

"""The study's page: what is saved, how seldom, and what happens when something is broken."""

from dataclasses import replace

import optuna
import pytest
from optuna_dashboard import get_note

from eenas.progress import Notice
from eenas.reporting.dashboard.study_page import publish
from eenas.reporting.report import page as pages
from eenas.reporting.report.page import PageSpec
from tests.reporting.studies import failed, study


@pytest.fixture
def made(tmp_path):
    """A study of Optuna with so many finished trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def make(trials):
        study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", directions=["maximize", "minimize"])
        study.optimize(lambda trial: (trial.number, trial.number), n_trials=trials)
        return study

    return make


def attributes(study):
    return study._storage.get_study_system_attrs(study._study_id)


def test_figures_and_notes_are_saved(made):
    results, optuna_study = study(6), made(6)
    notices = []
    publish(results, optuna_study, listener=notices.append)
    assert notices == []
    keys = attributes(optuna_study)
    for name in ("front_macs", "front_latency", "leaving"):
        assert f"dashboard:plot_data:eenas-{name}:0" in keys
    assert results.name in get_note(optuna_study)
    noted = {key.split(":")[1] for key in keys if key.endswith("note_ver") and key.count(":") == 2}
    numbers = {trial._trial_id: trial.number for trial in optuna_study.trials}
    assert {numbers[int(trial)] for trial in noted} == {item.trial for item in results.front if item.trial is not None}


def test_only_what_changed_is_written_again(made, monkeypatch):
    results, optuna_study = study(6), made(6)
    written = {}
    publish(results, optuna_study, written=written)
    writes = []
    original = type(optuna_study._storage).set_study_system_attr
    monkeypatch.setattr(
        type(optuna_study._storage),
        "set_study_system_attr",
        lambda self, *arguments: (writes.append(arguments[1]), original(self, *arguments)),
    )
    publish(results, optuna_study, written=written)
    assert writes == []
    publish(replace(results, trials=(*results.trials, failed(90))), optuna_study, written=written)
    assert 0 < len(writes) < 40


def test_trial_notes_are_bounded(made):
    results, optuna_study = study(12), made(12)
    page = PageSpec(figures=(), note=False, trial_notes=2)
    publish(results, optuna_study, page=page)
    noted = [key for key in attributes(optuna_study) if key.endswith("note_ver")]
    assert 0 < len(noted) <= 2


def test_a_broken_panel_is_a_notice_and_the_others_come(made, monkeypatch):
    results, optuna_study = study(4), made(4)
    monkeypatch.setitem(pages.FIGURES, "front_macs", lambda results: 1 / 0)
    notices = []
    publish(results, optuna_study, listener=notices.append)
    assert len(notices) == 1
    assert isinstance(notices[0], Notice)
    assert "front_macs" in notices[0].text
    assert "dashboard:plot_data:eenas-leaving:0" in attributes(optuna_study)


def test_storage_that_is_gone_does_not_end_the_search(made, monkeypatch):
    results, optuna_study = study(4), made(4)

    def gone(*arguments, **options):
        raise OSError("the disk is gone")

    monkeypatch.setattr(type(optuna_study._storage), "set_study_system_attr", gone)
    monkeypatch.setattr(type(optuna_study._storage), "get_all_trials", gone)
    notices = []
    publish(results, optuna_study, listener=notices.append)
    assert notices
    assert all("the disk is gone" in notice.text for notice in notices)


def test_a_study_without_trials_is_published(made):
    optuna_study = made(0)
    notices = []
    publish(study(0), optuna_study, listener=notices.append)
    assert notices == []
    assert get_note(optuna_study)


@pytest.mark.parametrize(
    "results", [study(1), study(0, extra=[failed(0), failed(1, "exploded")])], ids=["one trial", "failures only"]
)
def test_the_smallest_studies_are_published(made, results):
    optuna_study, notices = made(len(results.trials)), []
    publish(results, optuna_study, listener=notices.append)
    assert notices == []
    assert "exploded" in get_note(optuna_study) or results.front


def test_thousands_of_trials_cost_the_database_little(made):
    few, optuna_study = study(6), made(3)
    trials = tuple(replace(few.trials[number % 6], number=number) for number in range(3000))
    publish(replace(few, trials=trials), optuna_study)
    plots = [text for key, text in attributes(optuna_study).items() if key.startswith("dashboard:plot_data")]
    assert sum(len(str(text)) for text in plots) < 200_000

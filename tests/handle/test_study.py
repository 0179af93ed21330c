"""The handle on a study in Python, and the search that returns it."""

import math

import optuna
import pandas as pd
import pytest

import eenas
from eenas.errors import FrontError, SpecError, StorageError, StudyError
from eenas.progress import Advanced, Notice, Started
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, backbone

QUICK = {"overrides": SETTINGS, "space": "small", "device": "cpu", "listener": None, "progress": False}


@pytest.fixture(scope="module")
def study(smallest_study):
    return eenas.Study(storage=smallest_study.storage, backbone=backbone(), task=smallest_task())


def test_it_is_the_newest_study_of_a_storage_or_the_named_one(study, smallest_study):
    assert study.name == smallest_study.results.name
    assert eenas.Study(study.name, storage=study.reference.storage).name == study.name
    assert repr(study).startswith(f"Study({study.name!r}, storage='sqlite:///")
    with pytest.raises(StudyError, match="has no study 'other'"):
        eenas.Study("other", storage=study.reference.storage)


def test_a_storage_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(StorageError):
        eenas.Study(storage=f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def test_results_and_optuna_show_the_same_trials(study):
    assert [trial.number for trial in study.results.trials] == [trial.number for trial in study.optuna_study.trials]


def test_points_as_a_data_frame(study):
    frame, results = study.to_dataframe(), study.results
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == sum(len(network.points) for network in results.networks)
    assert frame.on_front.sum() >= len(results.front)
    plain = frame[frame.network == "backbone"].iloc[0]
    assert plain.accuracy == results.backbone.accuracy
    assert plain.macs_share == pytest.approx(1.0)
    assert all(math.isclose(sum(shares), 1.0) for shares in frame.leaving)
    best = frame[frame.recommended]
    assert set(best.network) == ({results.recommended.name} if results.recommended else set())


def test_trials_as_a_data_frame(study):
    frame, results = study.to_dataframe("trials"), study.results
    assert list(frame.number) == [0, 1, 2, 3]
    assert list(frame.state) == [trial.state for trial in results.trials]
    assert [tuple(row) for row in frame[["accuracy", "macs", "latency"]].to_numpy().tolist()] == [
        trial.values for trial in results.trials
    ]
    with pytest.raises(StudyError, match="must be 'trials' or 'points', got 'rows'"):
        study.to_dataframe("rows")


def test_recommend_is_the_choice_of_the_command_line(study):
    results = study.results
    found = study.recommend(eenas.Choice(max_accuracy_drop=0.5))
    assert found in results.front
    with pytest.raises(FrontError, match="min_accuracy"):
        study.recommend(eenas.Choice(limits=eenas.Limits(min_accuracy=1.0)))


def test_train_export_and_report(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"runs/ must hold one run of .*, got 0; call train\(\)"):
        study.export("model")
    choice = eenas.Choice(network="trial 3")
    report = study.train(choice, overrides=("full_training.samples=32",), device="cpu", listener=lambda event: None)
    folder = study.export("model")
    network = eenas.load(folder, backbone=backbone())
    assert network.design.digest == report.design.digest
    assert study.export("same", run=report, experts=False).name == "same"
    page = study.report("page.html").read_text(encoding="utf-8")
    assert study.name in page


def test_fidelity_says_what_is_missing(study):
    with pytest.raises(StudyError, match="designs must be at least 3"):
        study.fidelity(2)


def test_a_notebook_shows_the_summary_and_the_front(study):
    text = study._repr_html_()
    assert text.startswith("<div><p>Study ")
    assert text.count("<tr>") == 2 + len([item for item in study.results.choices if item.kind != "plain"])
    assert "<script" not in text


def test_search_returns_the_handle_and_goes_on(tmp_path, capfd):
    options = {**QUICK, "storage": f"sqlite:///{tmp_path}/eenas.db"}
    first = eenas.search(backbone(), task=smallest_task(), trials=1, **options)
    assert len(first.results.trials) == 1
    heard = []
    again = eenas.search(backbone(), task=smallest_task(), trials=2, **{**options, "listener": heard.append})
    assert again.name == first.name
    assert len(first.results.trials) == 2
    assert {Started, Advanced} <= {type(event) for event in heard}
    assert "Trial 1 finished" not in capfd.readouterr().err  # Optuna's lines were not asked for


def test_bars_show_phases_and_notices(capsys):
    from eenas.handle.bars import bars

    with bars() as listener:
        listener(Started("searching", 4))
        listener(Notice("a line\nof two"))
        listener(Advanced("searching", 2, "hypervolume 0.5"))
        listener(Started("preparing"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/4" in shown.err
    assert "a line\\nof two" in shown.err


def test_a_sampler_of_ones_own_proposes_and_belongs_to_the_identity(tmp_path):
    asked = []

    class Own(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            asked.append(name)
            return super().sample_independent(study, trial, name, distribution)

    settings = (*SETTINGS, "bank.use=false", "search.known_designs=false")
    options = {**QUICK, "overrides": settings, "storage": f"sqlite:///{tmp_path}/eenas.db"}
    found = eenas.search(backbone(), task=smallest_task(), trials=3, sampler=Own(seed=1), **options)
    assert any(name.startswith("slot1") for name in asked)
    assert any(trial.origin == "sampler" for trial in found.results.trials)
    with pytest.raises(StudyError, match=r'sampler is "tpe" and was "tests\.handle\.test_study'):
        eenas.search(backbone(), task=smallest_task(), trials=3, name=found.name, **options)


def test_a_callback_ends_the_search(tmp_path):
    heard = []

    def enough(study, trial):
        heard.append(trial.number)
        if len(heard) == 2:
            study.stop()

    options = {**QUICK, "storage": f"sqlite:///{tmp_path}/eenas.db"}
    found = eenas.search(backbone(), task=smallest_task(), trials=50, callbacks=[enough], **options)
    assert heard == [0, 1]
    assert len(found.results.trials) == 2


def test_unknown_options_name_the_nearest():
    with pytest.raises(SpecError, match=r"search\(\) has no option 'trails'.*'trials'"):
        eenas.search("resnet18", trails=3)


def test_the_front_is_drawn(study):
    drawing = study.figure("latency")
    assert "front" in [trace.name for trace in drawing.data]
    with pytest.raises(StudyError, match=r"cost must be one of macs, latency.*, got 'money'"):
        study.figure("money")

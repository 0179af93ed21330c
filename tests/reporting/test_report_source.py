"""A report from a real database and a real folder of artifacts."""

import json
import re
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from eenas.errors import EenasError, StorageError, StudyError
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.studies import StudyRecords
from eenas.reporting.facts.picked import drawn_item
from eenas.reporting.report.report_page import write_report
from eenas.reporting.report.report_source import Asked, open_source
from eenas.results.choice import Choice
from eenas.results.front import best_within
from eenas.runs.run_report import ORIGIN, origin
from eenas.study.settings.limits import Limits
from eenas.study.settings.reference import StudyReference
from tests.reporting.sources import FACTS, keep_study, run, trials
from tests.reporting.studies import failed, study, tables

RESULTS = study(6, extra=[failed(6)])


@pytest.fixture
def storage(tmp_path):
    """A study's database as `eenas search` leaves it, with the exit tables beside it."""
    url = f"sqlite:///{tmp_path}/study.db"
    database = Database(url)
    (tmp_path / "study.artifacts").mkdir()
    keep_study(database, RESULTS, tmp_path, artifacts=lambda trial: kept(trial, tmp_path / "study.artifacts"))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(storage=url, study_name=RESULTS.name, directions=["maximize", "minimize", "minimize"])
    made.add_trials(trials(6))
    return url


def kept(trial, artifacts):
    """The exit tables of a trial that was scored."""
    if not trial.points:
        return {}
    return {
        split: ArtifactStore(artifacts).write(f"{split}-{trial.number}", table.save)
        for split, table in zip(("calibration", "validation"), tables(trial.design, trial.number), strict=True)
    }


def test_a_source_gives_back_what_the_search_kept(storage):
    source = open_source(StudyReference(storage=storage))
    assert source.results.front == RESULTS.front
    assert source.picked().item == next(item for item in RESULTS.front if item == source.picked().item)
    assert source.picked() is source.picked()
    assert len(source.trials()) == 6
    assert source.task().name == "digits"
    assert list(source.cut_point_macs) == [point["name"] for point in FACTS["profile"]["cut_points"]]


def test_the_page_is_written_and_what_is_missing_is_said(storage, tmp_path):
    said = []
    out = write_report(storage, tmp_path / "pages" / "report.html", listener=said.append)
    page = out.read_text(encoding="utf-8")
    assert page.count('class="missing"') == 2
    assert "latency</b>: no design of this study is fully trained yet" in page
    assert "samples</b>: the task&#39;s validation split is not the one" in page
    missing = [f"the panel {name} is not in the report" for name in ("samples", "latency")]
    assert [event.text.split(":")[0] for event in said] == missing


def test_without_artifacts_the_panels_of_the_search_remain(storage, tmp_path):
    (tmp_path / "other").mkdir()
    out = write_report(storage, tmp_path / "report.html", artifacts=tmp_path / "other")
    page = out.read_text(encoding="utf-8")
    assert page.count("has no exit table of trial") == 11
    assert page.count('class="plot') == 6


def test_what_is_not_there_is_said_before_anything_is_written(storage, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(StudyError, match="nearest"):
        write_report(storage, out, name=RESULTS.name + "x")
    with pytest.raises(StorageError, match="no such folder"):
        write_report(storage, out, artifacts=tmp_path / "none")
    with pytest.raises(StorageError, match="is a folder"):
        write_report(storage, tmp_path)
    assert not out.exists()


def test_a_task_that_is_gone_is_said_in_the_place_of_its_panel(storage, tmp_path):
    database = Database(storage)
    kept = StudyRecords(database).get(RESULTS.name)
    settings = {**kept.settings, "task": {"spec": f"npz:{tmp_path}/gone.npz"}}
    StudyRecords(database).save(replace(kept, settings=settings))
    page = write_report(storage, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "gone.npz: no such file" in page


def test_another_design_is_drawn_where_it_is_asked_for(storage, tmp_path):
    usual = open_source(StudyReference(storage=storage)).item
    knee = open_source(StudyReference(storage=storage), Asked(choice=Choice(knee=True))).item
    cheap = open_source(StudyReference(storage=storage), Asked(choice=Choice(limits=Limits(max_macs=0.3)))).item
    assert knee.knee
    assert cheap.macs_share <= 0.3 < usual.macs_share
    assert cheap == best_within(RESULTS.front, 0.3)
    page = write_report(
        storage, tmp_path / "a.html", asked=Asked(choice=Choice(limits=Limits(max_macs=0.3)))
    ).read_text("utf-8")
    assert f"The design: {cheap.name}" in page
    assert re.search(rf"{cheap.name} \(((recommended|knee), )*drawn below\)", page)
    assert '"name":"picked"' in page
    assert "eenas train --max-macs 0.3 " in page
    assert "eenas report --max-macs 0.3 " in page


def test_a_trial_that_is_not_on_the_front_is_drawn_at_its_own_target(storage, tmp_path):
    on_front = {item.name for item in RESULTS.front}
    other = next(network for network in RESULTS.networks if network.kind == "trial" and network.name not in on_front)
    source = open_source(StudyReference(storage=storage), Asked(choice=Choice(network=other.name)))
    assert source.item.name == other.name
    assert source.item.point == RESULTS.trials[other.trial].chosen
    assert source.picked().item is source.item
    page = write_report(storage, tmp_path / "a.html", asked=source.asked).read_text("utf-8")
    assert f"{other.name} (drawn below, not on the front)" in page
    assert f"The design: {other.name}" in page
    assert f"eenas train --network &#39;{other.name}&#39; " in page


def test_a_policy_for_the_drawn_target_with_the_figures_of_a_point_of_the_front_is_that_point():
    item = next(item for item in RESULTS.front if item.kind == "trial" and len(item.point.policy.thresholds) > 1)
    again = replace(item.point.policy, thresholds=(0.123,) * len(item.point.policy.thresholds))
    trials = tuple(
        replace(trial, chosen=replace(item.point, policy=again)) if trial.number == item.trial else trial
        for trial in RESULTS.trials
    )
    assert drawn_item(replace(RESULTS, trials=trials), Choice(network=item.name)) is item


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(network="trial 99"), "has no network 'trial 99'; nearest"),
        (Choice(network="trial 6"), "has no network 'trial 6'; nearest"),
        (
            Choice(limits=Limits(max_macs=0.001)),
            "no network holds the limits; the nearest is .* misses max_macs by",
        ),
    ],
)
def test_a_choice_that_nothing_holds_is_refused_before_the_page(storage, tmp_path, choice, said):
    with pytest.raises(EenasError, match=said):
        write_report(storage, tmp_path / "a.html", asked=Asked(choice=choice))
    assert not (tmp_path / "a.html").exists()


def test_a_design_from_a_file_is_refused():
    with pytest.raises(StudyError, match=r"got the file a.json; name a network"):
        drawn_item(RESULTS, Choice(design_file=Path("a.json")))


def test_runs_of_the_study_are_found(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    run(RESULTS, folder=folder).save()
    (folder / ORIGIN).write_text(json.dumps(origin(RESULTS.name, {})))
    reference = StudyReference(storage=storage)
    assert [report.folder.name for report in open_source(reference).runs()] == ["one"]
    assert [report.folder for report in open_source(reference, Asked(runs=folder)).runs()] == [folder]
    with pytest.raises(StorageError, match="elsewhere: no such folder"):
        open_source(reference, Asked(runs=tmp_path / "elsewhere"))

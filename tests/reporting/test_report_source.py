"""A report from a real database and a real folder of artifacts."""

from dataclasses import replace

import optuna
import pytest

from eenas.errors import StorageError, StudyError
from eenas.records.database import Database
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.reporting.report_page import write_report
from eenas.reporting.report_source import open_source
from eenas.specs import to_table

from .sources import FACTS, trials
from .studies import BACKBONE, failed, study, tables

RESULTS = study(6, extra=[failed(6)])


@pytest.fixture
def storage(tmp_path):
    """A study's database as `eenas search` leaves it, with the exit tables beside it."""
    url = f"sqlite:///{tmp_path}/study.db"
    database = Database(url)
    facts = {
        **FACTS,
        "backbone": to_table(BACKBONE),
        "task": "digits",
        "device": "CPU",
        "classes": list(RESULTS.classes),
        "folder": str(tmp_path),
    }
    StudyRecords(database).save(
        StudyRecord(
            name=RESULTS.name, identity={}, identity_digest="", settings=to_table(RESULTS.settings), facts=facts
        )
    )
    (tmp_path / "study.artifacts").mkdir()
    for trial in RESULTS.trials:
        TrialRecords(database).save(record(trial, tmp_path / "study.artifacts"))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(storage=url, study_name=RESULTS.name, directions=["maximize", "minimize", "minimize"])
    made.add_trials(trials(6))
    return url


def record(trial, artifacts):
    kept = {}
    if trial.points:
        for split, table in zip(("calibration", "validation"), tables(trial.design, trial.number), strict=True):
            kept[split] = f"{split}-{trial.number}"
            table.save(artifacts / kept[split])
    return TrialRecord(
        study=RESULTS.name,
        number=trial.number,
        state=trial.state,
        design=trial.design.to_table() if trial.design else {},
        points=[point.to_table() for point in trial.points],
        reason=trial.reason,
        origin=trial.origin,
        seconds=trial.seconds,
        artifacts=kept,
    )


def test_a_source_gives_back_what_the_search_kept(storage):
    source = open_source(storage)
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
    assert page.count('class="missing"') == 1
    assert "samples</b>: the task&#x27;s validation split is not the one" in page
    assert [event.text.split(":")[0] for event in said] == ["the panel samples is not in the report"]


def test_without_artifacts_the_panels_of_the_search_remain(storage, tmp_path):
    (tmp_path / "other").mkdir()
    out = write_report(storage, tmp_path / "report.html", artifacts=tmp_path / "other")
    page = out.read_text(encoding="utf-8")
    assert page.count("holds no exit table of trial") == 8
    assert page.count('class="plot"') == 6


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

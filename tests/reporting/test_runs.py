"""The runs of a study among other folders."""

import json
import os
from dataclasses import replace

import pytest

from eenas.errors import ExportError
from eenas.records.studies import StudyRecord
from eenas.reporting.facts.runs import runs_of
from eenas.runs.run_report import ORIGIN, REPORT, origin
from tests.reporting.sources import run
from tests.reporting.studies import study

RESULTS = study(3)
RECORD = StudyRecord(name=RESULTS.name, identity={"seed": 0}, identity_digest="", settings={}, facts={})


def keep(folder, record=RECORD):
    folder.mkdir(parents=True)
    run(RESULTS, folder=folder).save()
    (folder / ORIGIN).write_text(json.dumps(origin(record.name, record.identity)))
    return folder


def test_only_finished_runs_of_the_study_are_found_the_oldest_first(tmp_path):
    for age, name in enumerate(("b", "c", "a")):
        os.utime(keep(tmp_path / name) / REPORT, (1000 + age, 1000 + age))
    keep(tmp_path / "other name", replace(RECORD, name="other"))
    keep(tmp_path / "other identity", replace(RECORD, identity={"seed": 1}))
    (keep(tmp_path / "unfinished") / REPORT).unlink()
    (keep(tmp_path / "of nobody") / ORIGIN).unlink()
    (tmp_path / "a file").write_text("")
    assert [report.folder.name for report in runs_of(RECORD, tmp_path)] == ["b", "c", "a"]


def test_a_run_itself_is_a_folder_of_one_run(tmp_path):
    assert [report.folder for report in runs_of(RECORD, keep(tmp_path / "one"))] == [tmp_path / "one"]


def test_no_folder_holds_no_runs(tmp_path):
    assert runs_of(RECORD, tmp_path / "none") == ()


def test_latencies_survive_on_disk(tmp_path):
    (found,) = runs_of(RECORD, keep(tmp_path / "one"))
    assert found.exits == run(RESULTS).exits
    assert found.exits[0].end_to_end.threads == 1


def test_a_broken_report_is_named(tmp_path):
    (keep(tmp_path / "one") / REPORT).write_text("{")
    with pytest.raises(ExportError, match=REPORT):
        runs_of(RECORD, tmp_path)

"""A study that was deleted in Optuna stays deleted: our rows go with it, also when its name is used again."""

import optuna
import pytest

from eenas.errors import StudyError
from eenas.progress import Notice
from eenas.records.database import Database
from eenas.records.studies import StudyRecords
from eenas.records.trials import TrialRecords
from eenas.results.read import open_results
from tests.smallest_study import run_search, url


def go(folder, trials, listener=lambda event: None):
    return run_search(folder, name="s", trials=trials, listener=listener)


def test_a_deleted_study_is_not_found_and_begins_anew(tmp_path):
    go(tmp_path, 2)
    assert len(open_results(url(tmp_path)).trials) == 2
    optuna.delete_study(study_name="s", storage=url(tmp_path))
    with pytest.raises(StudyError, match="holds no study"):
        open_results(url(tmp_path))
    heard = []
    found = go(tmp_path, 1, heard.append)
    assert [trial.number for trial in found.trials] == [0]
    assert any(isinstance(event, Notice) and "was deleted in Optuna" in event.text for event in heard)
    assert len(optuna.load_study(study_name="s", storage=url(tmp_path)).trials) > 0
    assert any(isinstance(event, Notice) and "prepared before" in event.text for event in heard)  # that is kept


def test_a_name_that_was_used_again_in_optuna_brings_no_trial_back(tmp_path):
    go(tmp_path, 2)
    optuna.delete_study(study_name="s", storage=url(tmp_path))
    optuna.create_study(study_name="s", storage=url(tmp_path), directions=["maximize", "minimize", "minimize"])
    with pytest.raises(StudyError, match="holds no study"):
        open_results(url(tmp_path))
    assert [trial.number for trial in go(tmp_path, 1).trials] == [0]


def test_a_study_that_is_deleted_while_it_runs_ends_in_one_line(tmp_path):
    records = TrialRecords(Database(url(tmp_path)))

    def delete(event):
        if getattr(event, "phase", "") == "searching" and getattr(event, "done", 0) == 1:
            optuna.delete_study(study_name="s", storage=url(tmp_path))

    with pytest.raises(StudyError, match="the study 's' was deleted while it ran") as caught:
        go(tmp_path, 4, delete)
    assert "\n" not in str(caught.value)
    assert StudyRecords(Database(url(tmp_path))).get("s") is None
    assert len(records.list("s")) == 1
    assert [trial.number for trial in go(tmp_path, 1).trials] == [0]
    assert records.recorded("s", [0, 1]) == {0}


def test_a_study_of_an_earlier_eenas_is_known_by_its_name(tmp_path):
    whole = go(tmp_path, 2)
    database = Database(url(tmp_path))
    with database.transaction() as connection:
        connection.exec_driver_sql("delete from study_system_attributes where key = 'eenas:token'")
        connection.exec_driver_sql("drop table eenas_tokens")
    assert open_results(url(tmp_path)).trials == whole.trials
    assert go(tmp_path, 3).trials[:2] == whole.trials

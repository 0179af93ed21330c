"""Rows that somebody edited are refused in one line that names the row."""

import json
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text

from eenas.errors import StorageError
from eenas.records.bank import BankRecord, BankRecords
from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurve, LearningCurves
from eenas.records.measurements import DatabaseCache
from eenas.records.prepared import PreparedRecord, PreparedRecords
from eenas.records.studies import MARK, StudyRecord, StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords

PREPARED = PreparedRecord(key="k", backbone="b", task="t", training="r", seed=0, artifact="", accuracy=0.5)
BAD = ("", "[", "[]", "3", "null", "{}", "[" * 5000, b"\xff\x00", 5, json.dumps({"x": 1}))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/a.db")
    StudyRecords(made).save(StudyRecord(name="s", identity={}, identity_digest="d", settings={}))
    TrialRecords(made).save(TrialRecord(study="s", number=0, state="complete"))
    BankRecords(made).add(
        BankRecord(key="k", backbone="b", cut_point="c", branch={}, task="t", samples=1, artifact="a")
    )
    PreparedRecords(made).save(PREPARED)
    LearningCurves(made).save(LearningCurve(study="s", number=0, method="m", values=((0.5, 0.1),)))
    DatabaseCache(made).put("macs/x", {"macs": 1})
    return made


READ = {
    "eenas_trials.body": lambda database: TrialRecords(database).list("s"),
    "eenas_studies.body": lambda database: StudyRecords(database).list(),
    "eenas_studies.baselines": lambda database: StudyRecords(database).get("s"),
    "eenas_bank.body": lambda database: BankRecords(database).find(["k"]),
    "eenas_prepared.body": lambda database: PreparedRecords(database).find("k"),
    "eenas_learning_curves.curve": lambda database: LearningCurves(database).list("s"),
    "eenas_measurements.value": lambda database: DatabaseCache(database).get("macs/x"),
    "eenas_prepared.body, replaced": lambda database: PreparedRecords(database).save(PREPARED, replacing=PREPARED),
    "eenas_measurements.value, kept before": lambda database: DatabaseCache(database).put("macs/x", {"macs": 2}),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", READ)
def test_a_row_that_was_edited_is_named(place: str, bad: object, database: Database) -> None:
    table, column = place.partition(",")[0].split(".")
    with database.transaction() as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = :bad"), {"bad": bad})
    is_whole = (column in ("value", "baselines") and bad in ("{}", json.dumps({"x": 1}))) or (
        column == "curve" and bad == "[]"
    )
    if is_whole:
        READ[place](database)
        return
    with pytest.raises(StorageError) as caught:
        READ[place](database)
    said = str(caught.value)
    assert "damaged" in said
    assert said.count("\n") == 0
    assert len(said) < 500


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": "x"}, "values"),
        ({"number": True}, "number"),
        ({"number": 2**62 * 4}, "bits"),
        ({"state": "done"}, "unknown value 'done'"),
        ({"seconds": float("nan")}, "finite"),
        ({"artifacts": {"validation": 3}}, "artifacts.validation"),
        ({"new": 1}, "unknown key"),
    ],
)
def test_values_of_another_type_are_named(change: dict[str, object], said: str, database: Database) -> None:
    body = json.dumps({"study": "s", "number": 0, "state": "complete", **change})
    with database.transaction() as connection:
        connection.execute(text("UPDATE eenas_trials SET body = :body"), {"body": body})
    with pytest.raises(StorageError, match=said):
        TrialRecords(database).list("s")


def test_a_number_that_may_be_infinite_is_read(database: Database) -> None:
    record = TrialRecord(study="s", number=1, state="complete", violations={"max_latency_ms": float("inf")})
    TrialRecords(database).save(record)
    assert TrialRecords(database).get("s", 1) == record


@pytest.mark.parametrize("bad", ["", "[", "not JSON"])
def test_a_mark_that_was_edited_is_named(bad: str, database: Database) -> None:
    study = optuna.create_study(storage=database.url, study_name="s")
    study._storage.set_study_system_attr(study._study_id, MARK, "token")
    StudyRecords(database).save_token("s", "token")
    assert StudyRecords(database).get("s") is not None
    with database.transaction() as connection:
        connection.execute(text("UPDATE study_system_attributes SET value_json = :bad"), {"bad": bad})
    with pytest.raises(StorageError, match="the database's mark of the study 's' is damaged"):
        StudyRecords(database).get("s")

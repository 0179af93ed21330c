"""A study, a run and a model on a medium that cannot be written are read there, and what must write says so."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from eenas import files
from eenas.deployment.calibration import calibrate
from eenas.deployment.export import export
from eenas.deployment.program_folder import verify
from eenas.errors import StorageError
from eenas.programs.runtime import load as open_model
from eenas.progress import Notice
from eenas.records import read_only as reading
from eenas.records.database import Database
from eenas.records.stores import artifact_cache, folder_store
from eenas.reporting.report.report_page import write_report
from eenas.results.choice import Choice
from eenas.results.read import open_results
from eenas.results.search import search
from eenas.runs.full_training import train
from eenas.runs.run_report import RunReport
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, backbone

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
"""Root may write everywhere but on a read-only file system, so that it is told what it would be told there."""


@pytest.fixture
def read_only(tmp_path, monkeypatch):
    """Copies folders to where nobody can write; what is in them must be the same in the end."""
    copies, before = tmp_path / "read only", {}

    def copy(*folders):
        for number, folder in enumerate(folders):
            for file in folder.glob("*.db"):  # other tests may hold it open, and so have a log beside it
                with closing(sqlite3.connect(file)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copytree(folder, copies / str(number), ignore=shutil.ignore_patterns("*-wal", "*-shm"))
        for path in (*copies.rglob("*"), copies):
            if path.is_file() and not path.name.endswith("-shm"):  # SQLite's index of the log, where it may write
                before[path] = path.read_bytes()
            path.chmod(0o555 if path.is_dir() else 0o444)
        return [copies / str(number) for number in range(len(folders))]

    def is_writable(path):
        return not path.absolute().is_relative_to(copies) and files_is_writable(path)

    files_is_writable = files.is_writable
    for module in (files, reading, folder_store, artifact_cache) if IS_ROOT else ():
        monkeypatch.setattr(module, "is_writable", is_writable)
    yield copy
    assert {path: path.read_bytes() for path in before} == before
    for path in (copies, *copies.rglob("*")):
        path.chmod(0o755)


def test_a_study_is_read_trained_and_reported_elsewhere(smallest_study, read_only, tmp_path):
    (folder,), place = read_only(smallest_study.folder), tmp_path
    storage, heard = f"sqlite:///{folder}/eenas.db", []
    assert open_results(storage).trials == smallest_study.results.trials
    write_report(storage, place / "report.html")
    assert (place / "report.html").stat().st_size > 10_000
    report = train(
        storage,
        choice=Choice(network=f"trial {smallest_study.trial}"),
        backbone=backbone(),
        task=smallest_task(),
        device="cpu",
        out=place / "run",
        overrides=("full_training.samples=32",),
        listener=heard.append,
    )
    assert report.samples == 32
    said = [event.text for event in heard if isinstance(event, Notice)]
    assert any("is read-only" in text and "for this command only" in text for text in said)
    assert any("prepared before" in text for text in said)
    with pytest.raises(StorageError, match="not writable; make it writable or give another") as error:
        search(backbone(), task=smallest_task(), storage=storage, device="cpu", overrides=SETTINGS, space="small")
    assert "\n" not in str(error.value)
    if not IS_ROOT:
        with pytest.raises(StorageError, match="could not be written"):
            smallest_study.train(folder / "run")


@pytest.mark.parametrize("kind", ["whole", "with a log", "with a log that somebody writes"])
def test_a_database_with_a_write_ahead_log_is_read_with_what_the_log_holds(tmp_path, kind, read_only):
    folder = tmp_path / "study"
    folder.mkdir()
    Database(f"sqlite:///{folder}/eenas.db").close()
    writer = sqlite3.connect(folder / "eenas.db")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("INSERT INTO eenas_measurements VALUES ('a', 'b', '{}')")
    writer.commit()
    if kind == "whole":
        writer.close()
    elif kind == "with a log":
        (tmp_path / "copy").mkdir()
        for name in ("eenas.db", "eenas.db-wal"):
            shutil.copy(folder / name, tmp_path / "copy" / name)
        writer.close()
        folder = tmp_path / "copy"
    (copy,) = read_only(folder)
    database = Database(f"sqlite:///{copy}/eenas.db", create=False)
    with database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT digest FROM eenas_measurements").scalars().all()
    assert rows == ["a"]
    database.close()
    writer.close()


def test_a_run_and_a_model_are_read_and_a_recalibration_says_that_it_cannot_write(
    finished_run, exported, read_only, tmp_path
):
    (run, model), place = read_only(finished_run.folder, exported), tmp_path
    assert RunReport.read(run).samples == finished_run.samples
    assert export(place / "model", run=run, backbone=backbone()).is_dir()
    assert open_model(model).exits
    assert verify(model, data=smallest_task(), trust_code=True).samples
    with pytest.raises(StorageError, match=r"read-only.*copy it to a writable place"):
        calibrate(model, smallest_task(), max_accuracy_drop=0.1)

"""A study, a run and a model on a medium that cannot be written are read there, and what must write says so."""

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path

import pytest

from eenas.deployment.calibration import calibrate
from eenas.deployment.program_folder import verify
from eenas.deployment.runtime import load as open_model
from eenas.errors import StorageError
from eenas.progress import Notice
from eenas.records.database import Database
from eenas.reporting.report_page import write_report
from eenas.search.choice import Choice
from eenas.search.export import export
from eenas.search.full_training import train
from eenas.search.read import open_results
from eenas.search.run import search
from eenas.search.run_report import RunReport
from eenas.testing.smallest import smallest_task

from .smallest_study import SETTINGS, backbone

NOBODY = 65534


@contextlib.contextmanager
def read_only(*folders):
    """Copies of folders in which nobody can write, as far as the process can tell; and a place where it can."""
    root = Path(tempfile.mkdtemp())
    copies = [Path(shutil.copytree(folder, root / f"{number}")) for number, folder in enumerate(folders)]
    place = root / "writable"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    for path in (root, *(each for copy in copies for each in (copy, *copy.rglob("*")))):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.read_bytes() for copy in copies for path in copy.rglob("*") if path.is_file()}
    is_root = os.geteuid() == 0  # who may write everywhere
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield (*copies, place)
    finally:
        if is_root:
            os.seteuid(0)
        after = {path: path.read_bytes() for copy in copies for path in copy.rglob("*") if path.is_file()}
        for path in (root, *root.rglob("*")):
            if path.is_dir():
                path.chmod(stat.S_IRWXU)
        shutil.rmtree(root)
    assert after == before


def test_a_study_is_read_trained_and_reported_elsewhere(smallest_study):
    with read_only(smallest_study.folder) as (folder, place):
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
        assert any("cannot be written" in text and "for this command only" in text for text in said)
        assert any("prepared before" in text for text in said)
        with pytest.raises(StorageError, match="not writable; make it writable or give another") as error:
            search(backbone(), task=smallest_task(), storage=storage, device="cpu", overrides=SETTINGS, space="small")
        assert "\n" not in str(error.value)
        with pytest.raises(StorageError, match="could not be written") as error:
            train(
                storage,
                choice=Choice(network=f"trial {smallest_study.trial}"),
                backbone=backbone(),
                task=smallest_task(),
                device="cpu",
                out=folder / "run",
            )


@pytest.mark.parametrize("kind", ["whole", "with a log", "with a log that somebody writes"])
def test_a_database_with_a_write_ahead_log_is_read_with_what_the_log_holds(tmp_path, kind):
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
    with read_only(folder) as (copy, _):
        database = Database(f"sqlite:///{copy}/eenas.db", create=False)
        with database.transaction() as connection:
            rows = connection.exec_driver_sql("SELECT digest FROM eenas_measurements").scalars().all()
        assert rows == ["a"]
        database.close()
    writer.close()


def test_a_run_and_a_model_are_read_and_a_recalibration_says_where_it_cannot_write(finished_run, exported):
    with read_only(finished_run.folder, exported) as (run, model, place):
        assert RunReport.read(run).samples == finished_run.samples
        assert export(place / "model", run=run, backbone=backbone()).is_dir()
        assert open_model(model).exits
        assert verify(model, data=smallest_task(), trust_code=True).samples
        with pytest.raises(StorageError, match=r"read-only.*copy it to a writable place"):
            calibrate(model, smallest_task(), max_accuracy_drop=0.1)

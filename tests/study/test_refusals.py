"""A search that is refused: nothing was measured before, and no folder, log or database is left."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from eenas.errors import DeviceError, EenasError, SpecError, StorageError, StudyError
from eenas.records import database, write_ahead_log
from eenas.results import search as module
from eenas.workers import places
from tests.smallest_study import SETTINGS, run_search, url
from tests.workers.test_parallel_search import run

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder):
    return sorted(
        path.name for path in folder.rglob("*") if path.name not in ("own.py", "eenas.db-wal", "eenas.db-shm")
    )


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr(module, "make_context", lambda *given, **options: pytest.fail("the backbone was measured"))


@pytest.fixture
def kept(smallest_study, tmp_path):
    """A copy of a finished study."""
    folder = tmp_path / "kept"
    shutil.copytree(smallest_study.folder, folder)
    return folder, smallest_study.results.name


@pytest.mark.parametrize("search", [run_search, run])
def test_a_place_that_cannot_be_made_leaves_nothing(tmp_path, search, unmeasured):
    (tmp_path / "file").touch()
    with pytest.raises(
        StorageError, match=r"cannot create the folder \(.*/file is no folder\); give another --artifacts"
    ):
        search(tmp_path, artifacts=tmp_path / "file" / "below" / "it")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path, unmeasured):
    (tmp_path / "locked").mkdir(mode=0o500)
    for place, said in (("locked", "the folder is not writable"), ("locked/below", "locked is not writable")):
        with pytest.raises(StorageError, match=said):
            run_search(tmp_path, artifacts=tmp_path / place)
    assert names(tmp_path) == ["locked"]


def test_a_locked_database_leaves_no_folder(tmp_path, monkeypatch):
    for each in (database, write_ahead_log):
        monkeypatch.setattr(each, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "eenas.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")  # others may read
        with pytest.raises(StorageError, match="locked"):
            run_search(tmp_path)
        assert names(tmp_path) == ["eenas.db"]


def test_artifacts_of_another_place_are_refused_before_anything_is_measured(kept, tmp_path, unmeasured):
    folder, name = kept
    (tmp_path / "there").mkdir()
    for place in ("there", "new/and/deep"):
        with pytest.raises(StorageError, match=f"these are not the artifacts of the study '{name}'"):
            run_search(folder, name=name, artifacts=tmp_path / place)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "there").is_dir()


def test_a_study_without_a_name_is_refused_without_a_new_folder(kept, tmp_path):
    folder, name = kept
    with pytest.raises(StorageError, match=f"these are not the artifacts of the study '{name}'"):
        run_search(folder, artifacts=tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 7}, "seed is 7 and was 0"),
        ({"overrides": (*SETTINGS, "training.epochs=0.25")}, "training.epochs is 0.25 and was 0.5"),
        ({"overrides": (*SETTINGS, "search.accuracy=balanced")}, 'accuracy is "balanced" and was not set'),
    ],
)
def test_the_name_of_another_search_is_refused_before_anything_is_measured(kept, unmeasured, options, said):
    folder, name = kept
    with pytest.raises(StudyError, match=f"the study '{name}' belongs to another search: {said}; give another --name"):
        run_search(folder, name=name, **options)


def test_the_same_search_goes_on(kept):
    folder, name = kept
    before = len(names(folder))
    assert len(run_search(folder, name=name, trials=4).trials) == 4
    assert len(names(folder)) >= before


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"trials": 0}, SpecError, "trials must be at least 1"),
        ({"overrides": ("search.trails=3",)}, SpecError, "trails"),
        ({"name": "a\nb"}, SpecError, "must have no control"),
        ({"storage": "sqlite://", "artifacts": "a"}, StorageError, "a database in memory belongs to one process"),
        ({"storage": "redis://host"}, StorageError, "Redis has no SQL"),
        ({"artifacts": "s4://bucket"}, StorageError, "unknown kind of store"),
        ({"workers": 500}, DeviceError, "500 workers need at least 125.0 GiB of memory"),
    ],
)
def test_several_workers_are_refused_before_one_starts(tmp_path, monkeypatch, options, error, said):
    monkeypatch.setattr(places, "free_memory", lambda: 4 << 30)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said) as found:
        run(tmp_path, **options)
    assert isinstance(found.value, EenasError)
    assert names(tmp_path) == []


def test_several_workers_of_another_search_are_refused_before_one_starts(kept, tmp_path):
    folder, name = kept
    with pytest.raises(StudyError, match="belongs to another search"):
        run(folder, storage=url(folder), name=name)
    assert not (folder / "eenas.workers").exists()

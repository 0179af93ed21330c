"""A copy to work in of what cannot be written; what can be written is taken as it is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eenas.errors import StorageError
from eenas.progress import notices_to
from eenas.records import read_only
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
from eenas.records.read_only import writable_storage


@pytest.fixture
def kept(tmp_path):
    """A storage with a measurement and an artifact."""
    storage = f"sqlite:///{tmp_path}/eenas 100%?.db"
    database = Database(storage)
    DatabaseCache(database).put("a", {"b": 1})
    database.close()
    return storage, ArtifactStore.beside(storage).write("weights.bin", b"weights")


def test_what_can_be_written_is_taken_as_it_is(kept):
    said = []
    with notices_to(said.append), writable_storage(kept[0], None) as place:
        assert place == (kept[0], None)
    with writable_storage("postgresql://host/database", Path("folder")) as place:
        assert place == ("postgresql://host/database", Path("folder"))
    assert not said


def test_of_what_cannot_be_written_there_is_a_copy_while_it_is_used(kept, monkeypatch):
    storage, reference = kept
    said = []
    monkeypatch.setattr(read_only, "is_read_only", lambda file: True)
    with notices_to(said.append), writable_storage(storage, None) as (copy, artifacts):
        cache, store = DatabaseCache(Database(copy)), ArtifactStore(artifacts)
        assert cache.get("a") == {"b": 1}
        cache.put("c", {})
        assert store.read(reference) == b"weights"
        store.write("weights.bin", b"others")
        store.write("more.bin", b"more")
    assert "for this command only" in said[0].text
    assert not artifacts.exists()
    assert DatabaseCache(Database(storage)).get("c") is None
    assert ArtifactStore.beside(storage).read(reference) == b"weights"


def test_what_is_no_database_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "a.db").write_bytes(b"not a database" * 1000)
    monkeypatch.setattr(read_only, "is_read_only", lambda file: True)
    with (
        pytest.raises(StorageError, match=r"a\.db: cannot be copied to work on .*not a database.*--storage") as error,
        writable_storage(f"sqlite:///{tmp_path}/a.db", None),
    ):
        pytest.fail("there is nothing to work in")
    assert "\n" not in str(error.value)


def test_a_log_that_cannot_be_used_in_its_place_is_copied_along(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    with closing(sqlite3.connect(tmp_path / "eenas.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
        for name in ("eenas.db", "eenas.db-wal"):
            shutil.copyfile(tmp_path / name, tmp_path / "there" / name)
    monkeypatch.setattr(read_only, "is_read_only", lambda file: True)
    monkeypatch.setattr(read_only, "_can_be_read", lambda url: False)
    with (
        writable_storage(f"sqlite:///{tmp_path}/there/eenas.db", None) as (copy, _),
        closing(sqlite3.connect(copy.removeprefix("sqlite:///"))) as database,
    ):
        assert database.execute("SELECT x FROM t").fetchall() == [(1,)]

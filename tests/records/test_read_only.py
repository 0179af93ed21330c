"""A copy to work in of what cannot be written; what can be written is taken as it is."""

from pathlib import Path

import pytest

from eenas.progress import heard_by
from eenas.records import read_only
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
from eenas.records.read_only import writable_place


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
    with heard_by(said.append), writable_place(kept[0], None) as place:
        assert place == (kept[0], None)
    with writable_place("postgresql://host/database", Path("folder")) as place:
        assert place == ("postgresql://host/database", Path("folder"))
    assert not said


def test_of_what_cannot_be_written_there_is_a_copy_while_it_is_used(kept, monkeypatch):
    storage, reference = kept
    said = []
    monkeypatch.setattr(read_only, "is_read_only", lambda file: True)
    with heard_by(said.append), writable_place(storage, None) as (copy, artifacts):
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

"""The artifact store of a study: a moved one is accepted, an emptied one is filled again, another one is refused."""

from pathlib import Path

import pytest

from eenas.errors import StorageError
from eenas.progress import Event, Notice
from eenas.records.database import Database
from eenas.records.read_only import writable_storage
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.records.tables import STORES


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/eenas.db")


def at(database: Database, folder: Path, study: str = "one") -> StudyArtifacts:
    return StudyArtifacts(database, study, FolderStore(folder))


def test_another_store_is_refused_until_it_holds_the_file_that_the_error_names(
    database: Database, tmp_path: Path
) -> None:
    right, other = tmp_path / "right", tmp_path / "other"
    at(database, right).keep()
    at(database, right).keep()
    (key,) = (file.name for file in right.iterdir())
    at(database, other, "two").keep()
    for refused in (at(database, other).keep, at(database, other).check):
        with pytest.raises(StorageError, match=rf"^{other}: these are not .*'one'.*{right}.*empty file {other}/{key},"):
            refused()
    (other / key).touch()
    at(database, other).check()
    at(database, other).keep()
    with pytest.raises(StorageError, match=f"'two', which were last at .*{other}"):
        at(database, right, "two").check()


def test_a_moved_store_is_accepted_and_its_old_place_is_another_one_then(database: Database, tmp_path: Path) -> None:
    at(database, tmp_path / "old").keep()
    (tmp_path / "old").rename(tmp_path / "new")
    at(database, tmp_path / "new").check()
    at(database, tmp_path / "new").keep()
    with pytest.raises(StorageError, match="these are not the artifacts"):
        at(database, tmp_path / "old").keep()


def test_an_emptied_store_is_filled_again_with_a_notice_on_the_same_node_only(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    heard: list[Event] = []
    at(database, place).keep()
    (file,) = place.iterdir()
    file.unlink()
    at(database, place).check()
    assert not file.exists(), "a check writes nothing"
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("EENAS_NODE", "another")  # with a local folder of the same path
        with pytest.raises(StorageError, match="these are not the artifacts"):
            at(database, place).keep()
    at(database, place).keep(heard.append)
    assert file.exists()
    assert [type(each) for each in heard] == [Notice]
    file.unlink()
    place.rmdir()
    StudyArtifacts(database, "one", FolderStore(place, create=False)).check()


def test_a_worker_that_loses_the_first_record_keeps_no_object(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = at(database, tmp_path / "store")
    put = slow._put

    def overtaken(key: str) -> None:
        put(key)
        at(database, tmp_path / "store").keep()

    monkeypatch.setattr(slow, "_put", overtaken)
    slow.keep()
    assert len(list((tmp_path / "store").iterdir())) == 1
    at(database, tmp_path / "store").keep()


def test_a_storage_of_an_earlier_eenas_is_read_and_gets_a_record(database: Database, tmp_path: Path) -> None:
    STORES.drop(database.engine)
    old = Database(f"sqlite:///{tmp_path}/eenas.db", create=False)
    at(old, tmp_path / "any").check()
    at(Database(f"sqlite:///{tmp_path}/eenas.db"), tmp_path / "any").keep()
    with pytest.raises(StorageError, match="these are not the artifacts"):
        at(old, tmp_path / "other").check()


def test_the_copy_of_a_read_only_storage_has_the_object(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(database, tmp_path / "eenas.artifacts").keep()
    monkeypatch.setattr("eenas.records.read_only.is_read_only", lambda file: True)
    with writable_storage(f"sqlite:///{tmp_path}/eenas.db", None) as (storage, place):
        assert isinstance(place, Path)
        at(Database(storage), place).keep()

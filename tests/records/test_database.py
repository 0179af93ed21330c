"""The database: opened where it can be, refused in one line where not, and never corrupted by many writers."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
from sqlalchemy import delete, select, text, update

from eenas.errors import StorageError
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
from eenas.records.tables import METADATA, PREPARED, SCHEMA, SCHEMA_ROW


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def refusal(storage: str, *, create: bool = True) -> str:
    with pytest.raises(StorageError) as caught:
        Database(storage, create=create)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(storage)
    return message


def pragma(database: Database, name: str) -> object:
    with database.transaction() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_a_new_file_gets_the_tables_and_the_schema_version(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    with database.transaction() as connection:
        names = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
        assert connection.execute(select(SCHEMA_ROW.c.version)).scalars().all() == [SCHEMA]
    assert names == set(METADATA.tables)
    assert all(name.startswith("eenas_") for name in names)


def test_sqlite_writes_ahead_waits_for_others_and_syncs_less(tmp_path: Path) -> None:
    for _ in range(2):
        database = Database(url(tmp_path / "a.db"))
        assert pragma(database, "journal_mode") == "wal"
        assert pragma(database, "synchronous") == 1
        assert pragma(database, "busy_timeout") == 60_000


def test_optuna_opens_the_same_database_the_same_way(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    storage = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
    optuna.create_study(storage=storage, study_name="s")
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
    storage.engine.dispose()
    again = Database(url(tmp_path / "a.db"), create=False)
    with again.transaction() as connection:
        assert connection.execute(text("SELECT study_name FROM studies")).scalars().all() == ["s"]


def test_a_database_of_optuna_alone_is_taken_but_holds_no_study_yet(tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(url(tmp_path / "a.db"))
    storage.engine.dispose()
    assert "holds no study of eenas" in refusal(url(tmp_path / "a.db"), create=False)
    Database(url(tmp_path / "a.db"))
    Database(url(tmp_path / "a.db"), create=False)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert "no such database" in refusal(url(tmp_path / "a.db"), create=False)
    assert not list(tmp_path.iterdir())


def test_foreign_storage_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"this is no database at all " * 100)
    assert "not a database" in refusal(url(noise))
    assert noise.read_bytes() == b"this is no database at all " * 100
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    before = other.read_bytes()
    assert "belongs to another program (tables customers)" in refusal(url(other))
    assert other.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    with database.transaction() as connection:
        connection.execute(SCHEMA_ROW.update().values(version=SCHEMA + 1))
    database.close()
    for create in (True, False):
        assert f"newer eenas (schema {SCHEMA + 1}" in refusal(url(tmp_path / "a.db"), create=create)


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(url(tmp_path))
    assert "does not exist; create it" in refusal(url(tmp_path / "no" / "a.db"))
    Database(url(tmp_path / "a.db")).close()
    assert "readonly" in refusal(f"sqlite:///file:{tmp_path}/a.db?mode=ro&uri=true")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "unable to open" in refusal(url(tmp_path / "a.db"))
    finally:
        tmp_path.chmod(0o700)


def test_a_driver_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"needs the package psycopg; pip install 'eenas\[postgresql\]'"):
        Database("postgresql+psycopg://ann:hush@host/eenas")


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    with pytest.raises(StorageError) as caught:
        Database("postgresql://ann:hush@127.0.0.1:1/eenas")
    message = str(caught.value)
    assert "ann:***@127.0.0.1:1/eenas" in message
    assert "hush" not in message
    assert "\n" not in message


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    cache = DatabaseCache(database)
    cache.put("small", {"macs": 1})
    with database.engine.connect() as connection:  # the pool hands the same connection out again
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="full; free space"):
        cache.put("large", {"text": "x" * 1_000_000})
    database.close()
    assert DatabaseCache(database).get("small") == {"macs": 1}
    assert DatabaseCache(database).get("large") is None


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    with pytest.raises(StorageError, match="UNIQUE"), database.transaction() as connection:
        connection.execute(PREPARED.insert(), [{"key": key, "body": "{}"} for key in ("a", "b", "a")])
    with database.transaction() as connection:
        assert connection.execute(select(PREPARED)).first() is None


def test_upsert_keeps_columns_and_leaves_other_identities_alone(tmp_path: Path) -> None:
    database = Database(url(tmp_path / "a.db"))
    assert database.upsert(PREPARED, {"key": "k", "body": "1"})
    assert database.upsert(PREPARED, {"key": "k", "body": "1"}, only_same="body")
    assert not database.upsert(PREPARED, {"key": "k", "body": "2"}, only_same="body")
    assert database.upsert(PREPARED, {"key": "k", "body": "3"})
    with database.transaction() as connection:
        assert connection.execute(select(PREPARED.c.body)).scalars().all() == ["3"]


def test_a_database_in_memory_works_for_several_threads() -> None:
    cache = DatabaseCache(Database("sqlite://"))
    cache.put("a", {"macs": 1})
    found = []
    thread = threading.Thread(target=lambda: found.append(cache.get("a")))
    thread.start()
    thread.join()
    assert found == [{"macs": 1}]


WORKER = """
import sys
from eenas.records.database import Database
from eenas.records.measurements import DatabaseCache
storage, worker, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cache = DatabaseCache(Database(storage))
for index in range(count):
    print(cache.put("shared", {"worker": worker})["worker"], end="")
    cache.put(f"{worker}/{index}", {"index": index})
"""


def test_many_processes_open_a_new_file_at_once_and_write_without_loss(tmp_path: Path) -> None:
    storage, workers, count = url(tmp_path / "a.db"), 4, 25
    commands = [[sys.executable, "-c", WORKER, storage, str(worker), str(count)] for worker in range(workers)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * workers
    database = Database(storage, create=False)
    assert pragma(database, "integrity_check") == "ok"
    cache = DatabaseCache(database)
    assert all(cache.get(f"{w}/{i}") == {"index": i} for w in range(workers) for i in range(count))
    shared = cache.get("shared")
    assert shared is not None
    assert said == {str(shared["worker"]) * count}  # all went on with what the first of them kept


def test_what_was_written_is_told_by_the_database_not_by_the_driver(shared_storage: str) -> None:
    """psycopg counts -1 rows for an INSERT, sqlite3 and psycopg2 count 0 or 1."""
    database = Database(shared_storage)
    row = {"key": "k", "body": "1"}
    assert database.insert(PREPARED, row)
    assert not database.insert(PREPARED, row)
    assert database.upsert(PREPARED, {**row, "body": "1"}, only_same="body")
    assert not database.upsert(PREPARED, {**row, "body": "2"}, only_same="body")
    one = PREPARED.c.key == "k"
    assert database.change(update(PREPARED).where(one).values(body="3"))
    assert database.change(delete(PREPARED).where(one))
    assert not database.change(update(PREPARED).where(one).values(body="4"))
    assert not database.change(delete(PREPARED).where(one))


def test_nothing_in_eenas_asks_a_driver_how_many_rows() -> None:
    package = Path(__file__).parents[2] / "eenas"
    assert [path.name for path in package.rglob("*.py") if "rowcount" in path.read_text()] == []


def test_postgresql_keeps_what_sqlite_keeps(postgresql: str) -> None:
    database, again = Database(postgresql), Database(postgresql)
    DatabaseCache(database).put("a", {"macs": 1})
    assert DatabaseCache(again).put("a", {"macs": 2}) == {"macs": 1}
    assert DatabaseCache(database).get("a") == {"macs": 1}
    storage = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
    storage.engine.dispose()

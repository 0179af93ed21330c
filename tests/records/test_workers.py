"""Workers: who is gone, as far as this machine can tell, and what the others say of themselves."""

import os
import subprocess
import sys
import time

from sqlalchemy import text

from eenas.records.database import Database
from eenas.records.tables import WORKERS
from eenas.records.workers import FORGOTTEN, WorkerRecord, WorkerRecords, is_gone, worker_name


def test_who_is_gone_is_known_of_this_machine_only():
    own = worker_name()
    host = own.rpartition(":")[0]
    assert own == f"{host}:{os.getpid()}"
    assert not is_gone(own)
    assert not is_gone("another-machine:1")
    assert not is_gone("no name")
    assert not is_gone(f"{host}:1")
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 30
    while not is_gone(f"{host}:{process.pid}") and time.monotonic() < deadline:  # ended, and not waited for
        time.sleep(0.02)
    assert is_gone(f"{host}:{process.pid}")
    process.wait()
    assert is_gone(f"{host}:{process.pid}")


def record(name: str, **values) -> WorkerRecord:
    host, _, process = name.rpartition(":")
    fields = {"study": "s", "host": host, "process": int(process), "device": "cpu", "versions": {"torch": "2.14.1"}}
    return WorkerRecord(name=name, **{**fields, **values})


def test_workers_are_listed_with_what_they_do_and_when_they_were_seen(shared_storage):
    database = Database(shared_storage)
    workers = WorkerRecords(database)
    workers.start(record("a:1", doing="starting"))
    workers.start(record("b:2", study="another"))
    first, second = workers.list()
    assert (first.name, first.host, first.process, first.study, first.device) == ("a:1", "a", 1, "s", "cpu")
    assert (first.versions, first.doing, first.trial) == ({"torch": "2.14.1"}, "starting", None)
    assert first.started.endswith("+00:00")
    assert 0.0 <= first.seen_seconds_ago < 30.0
    assert second.study == "another"
    assert workers.beat("a:1", doing="training", trial=7)
    (found,) = workers.list("s")
    assert (found.doing, found.trial) == ("training", 7)
    assert not workers.beat("nobody:1", doing="", trial=None)
    workers.end("a:1")
    assert [each.name for each in workers.list()] == ["b:2"]


def test_a_worker_was_seen_by_the_clock_of_the_database_whatever_this_machine_says(shared_storage, monkeypatch):
    database = Database(shared_storage)
    workers = WorkerRecords(database)
    workers.start(record("a:1"))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with database.transaction() as connection:
        connection.execute(WORKERS.update().values(seen=WORKERS.c.seen - 100.0))
    (found,) = workers.list()
    assert 100.0 <= found.seen_seconds_ago < 130.0
    workers.start(record("b:2"))
    assert [each.name for each in workers.list()] == ["a:1", "b:2"]
    for passed, name, left in ((FORGOTTEN - 60.0, "c:3", ["b:2", "c:3"]), (120.0, "d:4", ["c:3", "d:4"])):
        with database.transaction() as connection:  # a minute each way: clocks of machines are set while they run
            connection.execute(WORKERS.update().values(seen=WORKERS.c.seen - passed))
        workers.start(record(name))
        assert [each.name for each in workers.list()] == left


def test_a_storage_of_an_earlier_eenas_has_no_workers(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/eenas.db")
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE eenas_workers"))
    assert WorkerRecords(database).list() == ()

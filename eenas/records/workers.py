"""Workers: names of the processes that share a storage, whether they still run, and what they are doing."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Row, delete, inspect, select, update

from eenas.escaping import shortened
from eenas.processes import is_running
from eenas.records.database import Database
from eenas.records.rows import read_record, read_table
from eenas.records.tables import WORKERS

FORGOTTEN = 86_400.0
"""The seconds after which a worker that was killed is no longer listed."""


@dataclass(frozen=True, kw_only=True)
class WorkerRecord:
    """One process that runs, or ran, trials of a study. It is alive if it was seen within a few heartbeats."""

    name: str
    """ "host:process", see `worker_name`."""
    study: str
    host: str
    process: int
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of the packages that results depend on, such as eenas and torch."""
    started: str = ""
    """The time in UTC (ISO 8601), by the clock of the database."""
    seen_seconds_ago: float = 0.0
    """The seconds since its last heartbeat, by the clock of the database."""
    doing: str = ""
    """What it is doing, in a few words."""
    trial: int | None = None
    """The number of the trial that it runs, None between trials."""


class WorkerRecords:
    """The workers of a database. Raises StorageError. Clocks of different machines are never compared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, record: WorkerRecord) -> None:
        """Insert a worker, or replace one of the same name that has ended. It starts and is seen now.

        Workers that were last seen FORGOTTEN seconds ago, or earlier, are deleted.
        """
        self._database.change(delete(WORKERS).where(WORKERS.c.seen <= self._database.now - FORGOTTEN))
        row = {name: getattr(record, name) for name in ("name", "study", "host", "process", "device", "doing", "trial")}
        now, versions = self._database.now, json.dumps(dict(record.versions))
        self._database.upsert(WORKERS, {**row, "versions": versions, "started": now, "seen": now})

    def beat(self, name: str, *, doing: str, trial: int | None) -> bool:
        """Note that a worker is alive and what it is doing. Return whether it is known."""
        values = {"seen": self._database.now, "doing": doing, "trial": trial}
        return self._database.change(update(WORKERS).where(WORKERS.c.name == name).values(**values))

    def end(self, name: str) -> None:
        """Delete a worker that ended normally."""
        self._database.change(delete(WORKERS).where(WORKERS.c.name == name))

    def list(self, study: str | None = None) -> tuple[WorkerRecord, ...]:
        """Return the workers, by default of all studies, in the order of their start.

        Workers that were killed stay until they are found dead. A storage of an earlier eenas has none.
        """
        columns = (*WORKERS.c, (self._database.now - WORKERS.c.seen).label("ago"))
        statement = select(*columns).order_by(WORKERS.c.started, WORKERS.c.name)
        if study is not None:
            statement = statement.where(WORKERS.c.study == study)
        with self._database.transaction() as connection:
            if not inspect(connection).has_table(WORKERS.name):
                return ()
            rows = connection.execute(statement).all()
        return tuple(map(_record, rows))


def _record(row: Row[tuple[object, ...]]) -> WorkerRecord:
    where = f"row of the worker {shortened(row.name)}"
    table = {name: getattr(row, name) for name in ("name", "study", "host", "process", "device", "doing", "trial")}
    started = datetime.fromtimestamp(row.started, UTC).isoformat(timespec="seconds")
    times = {"started": started, "seen_seconds_ago": max(0.0, float(row.ago))}
    return read_record(WorkerRecord, {**table, **times, "versions": read_table(row.versions, where)}, where)


def worker_name() -> str:
    """Return the name of this process in records: "host:process"."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(worker: str) -> bool:
    """Whether a worker on this machine has ended. False for other machines, which only heartbeats can tell."""
    host, _, process = worker.rpartition(":")
    return host == socket.gethostname() and process.isdigit() and not is_running(process)

"""The presence of a worker in the storage: what it is doing, for others to see, and who else is there."""

import threading
import time
from types import TracebackType

import torch

from eenas import __version__
from eenas.errors import StorageError, StudyError
from eenas.progress import Event, Finished, Listener, Notice, Started
from eenas.records.database import Database
from eenas.records.urls import network_file_system
from eenas.records.workers import WorkerRecord, WorkerRecords, is_gone, worker_name
from eenas.study.study import GRACE

BEAT = 5.0
"""The seconds between two heartbeats of a worker."""
VERSIONS = {"eenas": __version__, "torch": torch.__version__}
"""The versions that a worker records. Those of eenas must be equal in a study, others are warned of."""


def is_alive(worker: WorkerRecord) -> bool:
    """Whether the last heartbeat of a worker is recent by the clock of the database and, here, its process runs."""
    return worker.seen_seconds_ago <= GRACE and not is_gone(worker.name)


class Presence:
    """The row of this worker among the workers of a study, inside a `with` block.

    `hear` is a listener that also notes what the worker is doing. Raises StudyError at the start if a living worker of
    the study runs another version of eenas.
    """

    def __init__(self, database: Database, study: str, device: str, listener: Listener) -> None:
        self._database = database
        self._workers, self._listener, self._name = WorkerRecords(database), listener, worker_name()
        host, _, process = self._name.rpartition(":")
        self._record = WorkerRecord(
            name=self._name,
            study=study,
            host=host,
            process=int(process),
            device=device,
            versions=VERSIONS,
            doing="starting",
        )
        self._doing = "starting"
        self._trial: int | None = None
        self._steady_since = time.monotonic() - GRACE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)

    def __enter__(self) -> "Presence":
        """Announce the worker."""
        others = [each for each in self._workers.list() if each.name != self._name and is_alive(each)]
        self._check_place(others)
        self._compare([each for each in others if each.study == self._record.study])
        self._workers.start(self._record)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Delete the row of the worker."""
        self._ended.set()
        self._thread.join()
        try:
            self._workers.end(self._name)
        except StorageError:
            if error is None:  # else the storage was reported already
                self._listener(Notice("this worker is still listed as running, since the storage is unavailable"))

    def hear(self, event: Event) -> None:
        """Note what the worker is doing, and pass the event on."""
        if isinstance(event, Started):
            self._doing = event.phase
        elif isinstance(event, Finished):
            self._doing = "between two steps"
        self._listener(event)

    def at_trial(self, number: int | None) -> None:
        """Note the trial that this worker runs, None between two."""
        self._trial, self._doing = number, "searching" if number is None else f"trial {number}"

    def is_steady(self) -> bool:
        """Whether the database has answered every heartbeat of this worker for longer than the grace period.

        After an outage the heartbeats of all workers are old, and nobody is silent because of that.
        """
        return time.monotonic() - self._steady_since >= GRACE

    def _send_heartbeats(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                if not self._workers.beat(self._name, doing=self._doing, trial=self._trial):
                    self._workers.start(self._record)
            except StorageError:
                self._steady_since = time.monotonic()

    def _check_place(self, others: list[WorkerRecord]) -> None:
        """Refuse several workers on an SQLite file on a network file system, and warn a single one."""
        file = self._database.file
        kind = None if file is None else network_file_system(file)
        if kind is None:
            return
        why = f"{self._database.label}: the file is on a network file system ({kind}), where SQLite's locks fail"
        fix = "use PostgreSQL, or a file on a local disk"
        if others:
            raise StorageError(f"{why} between workers, and {others[0].name} is at work on it; {fix}")
        self._listener(Notice(f"warning: {why} as soon as a second worker joins; {fix}"))

    def _compare(self, others: list[WorkerRecord]) -> None:
        """Refuse another version of eenas, and warn of other versions of packages that scores depend on."""
        for other in others:
            if (theirs := other.versions.get("eenas")) != __version__:
                raise StudyError(
                    f"the study {self._record.study!r} is run by eenas {theirs} on {other.host} (process "
                    f"{other.process}), this is eenas {__version__}; use one version on all workers, or end the others"
                )
        differing = {text: other.host for other in others if (text := other.versions.get("torch")) != torch.__version__}
        for theirs, host in differing.items():
            self._listener(
                Notice(
                    f"warning: the worker on {host} has torch {theirs}, this one {torch.__version__}: equal designs "
                    "may score differently; use one version on all workers"
                )
            )

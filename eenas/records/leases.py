"""Leases: what many workers need is made by one of them, while the others wait for it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import delete, select, update

from eenas.errors import EenasError, StorageError
from eenas.progress import Finished, Listener, Notice, Started, silent
from eenas.records.database import Database
from eenas.records.tables import LEASES
from eenas.records.workers import is_gone, worker_name

BEAT = 3.0
"""Seconds between two signs of life of a holder."""
EXPIRY = 30.0
"""A holder without a sign of life for so many seconds, by the clock of whoever waits, is taken for dead."""
POLL = 0.25
"""Seconds between two looks of a worker that waits."""

Made = TypeVar("Made")


class Leases:
    """The leases of a database, which workers on any machine share. No two clocks are compared.

    A lease ends when its holder releases it, when its process has ended on this machine, or when the row has shown
    no sign of life for `expiry` seconds.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener = silent,
        *,
        meanwhile: Callable[[], object] | None = None,
        beat: float = BEAT,
        expiry: float = EXPIRY,
    ) -> None:
        """`meanwhile` is called again and again by a worker that waits, and may raise."""
        self._database, self._listener, self._meanwhile = database, listener, meanwhile
        self._beat, self._expiry = beat, expiry

    def once(self, name: str, work: str, make: Callable[[], Made]) -> Made:
        """What `make` gives, called while this worker holds the lease `name`; `work` says in a few words what it does.

        `make` takes what it finds in the storage and keeps there what it makes, so that the first of several workers
        makes it. A worker that slept until another took its lease over calls `make` again in its turn, to take what
        the other has made. A `make` may ask for another lease, never for its own.
        """
        if not self._database.is_shared:
            return make()
        while True:
            lease = _Lease(self._database, name, self._beat)
            self._wait(lease, work)
            lease.start()
            try:
                made = make()
            except EenasError:
                if lease.release():
                    raise
            except BaseException:
                lease.release()
                raise
            else:
                if lease.release():
                    return made
            self._listener(Notice(f"{work}: another worker took over while this one slept; its results are taken"))

    def _wait(self, lease: "_Lease", work: str) -> None:
        """Take the lease, in the place of a dead holder where there is one."""
        phase, seen, since, told = f"waiting for another worker: {work}", ("", -1), time.monotonic(), False
        while not lease.take():
            now = lease.holder()
            if now is None:
                continue
            if now != seen:
                seen, since = now, time.monotonic()
            gone = is_gone(now[0].partition("#")[0])
            if (gone or time.monotonic() - since > self._expiry) and lease.take_over(*now):
                self._listener(Notice(f"{work}: the worker that did it is gone; this one takes over"))
                break
            if not told:
                self._listener(Started(phase))
                told = True
            if self._meanwhile is not None:
                self._meanwhile()
            time.sleep(POLL)
        if told:
            self._listener(Finished(phase))


class _Lease:
    """One worker's claim to the lease `name`, with a thread that shows signs of life."""

    def __init__(self, database: Database, name: str, beat: float) -> None:
        self._database, self._name, self._beat = database, name, beat
        self._me = f"{worker_name()}#{uuid4().hex[:12]}"
        self._mine = (LEASES.c.name == name) & (LEASES.c.holder == self._me)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_life, daemon=True)

    def take(self) -> bool:
        """Take the lease where nobody has it."""
        return self._database.insert(LEASES, {"name": self._name, "holder": self._me, "beat": 0})

    def holder(self) -> tuple[str, int] | None:
        """Who holds it and their last sign of life."""
        with self._database.transaction() as connection:
            row = connection.execute(select(LEASES.c.holder, LEASES.c.beat).where(LEASES.c.name == self._name)).first()
        return None if row is None else (row.holder, row.beat)

    def take_over(self, holder: str, beat: int) -> bool:
        """Take the lease from `holder`, unless they showed life since or another worker was faster."""
        same = (LEASES.c.name == self._name) & (LEASES.c.holder == holder) & (LEASES.c.beat == beat)
        return self._database.change(update(LEASES).where(same).values(holder=self._me, beat=0))

    def start(self) -> None:
        """Begin to show signs of life."""
        self._thread.start()

    def release(self) -> bool:
        """Let go; whether the lease was this worker's to the end. A storage that is gone is the next step's matter."""
        self._ended.set()
        self._thread.join()
        with suppress(StorageError):
            return self._database.change(delete(LEASES).where(self._mine))
        return True

    def _show_life(self) -> None:
        while not self._ended.wait(self._beat):
            with suppress(StorageError):  # a storage that is away for longer lets the lease expire
                if not self._database.change(update(LEASES).where(self._mine).values(beat=LEASES.c.beat + 1)):
                    return

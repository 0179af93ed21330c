"""Leases: one worker makes a shared result while the others wait for it."""

import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import delete, select, update

from eenas.errors import EenasError, StorageError
from eenas.measurement.pauses import pause_point
from eenas.progress import Finished, Listener, Notice, Started, silent
from eenas.records.database import Database
from eenas.records.tables import LEASES
from eenas.records.workers import is_gone, worker_name

HEARTBEAT = 3.0
"""The seconds between two heartbeats of a holder."""
EXPIRY = 30.0
"""A holder without a heartbeat for this many seconds, by the clock of the waiting worker, counts as dead."""
POLL = 0.25
"""The seconds between two checks of a waiting worker."""
PATIENCE = 60.0
"""The seconds after which a waiting worker says who holds the lease; it says so again after twice as long."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Holder:
    """The worker that holds the lease `name`, and for about how many seconds, by its heartbeats."""

    name: str
    worker: str
    seconds: float

    @property
    def text(self) -> str:
        """The worker and the time in words."""
        host, _, process = self.worker.rpartition(":")
        held = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        return f"process {process} on {host} for about {held}"


class Leases:
    """The leases of a database, shared by workers on any machine. Clocks of different machines are never compared.

    A lease ends when its holder releases it, when the holder's process on this machine has ended, or when its row has
    had no heartbeat for `expiry` seconds.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener = silent,
        *,
        while_waiting: Callable[[], object] | None = None,
        beat: float = HEARTBEAT,
        expiry: float = EXPIRY,
        patience: float = PATIENCE,
    ) -> None:
        """`while_waiting` is called repeatedly by a waiting worker and may raise."""
        self._database, self._listener, self._while_waiting = database, listener, while_waiting
        self._beat, self._expiry, self._patience = beat, expiry, patience

    def once(
        self, name: str, work: str, make: Callable[[], Made], *, is_made: Callable[[], bool] | None = None
    ) -> Made:
        """Call `make` while holding the lease `name`, and return its result. `work` describes it in a few words.

        `make` reads existing results from the storage and stores new ones there, so that only the first worker makes
        them. A worker that was suspended until another took over its lease calls `make` again, to read the other's
        results. `make` may take another lease, but never its own. As soon as `is_made` tells that everything exists,
        `make` only reads, so that no worker waits for the lease.
        """
        if not self._database.is_shared:
            return make()
        while True:
            lease = _Lease(self._database, name, self._beat)
            if not self._wait(lease, work, is_made or (lambda: False)):
                return make()
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
            self._listener(Notice(f"{work}: another worker took over while this one slept; its results are used"))

    def held(self) -> list[Holder]:
        """Return the leases that are held now, by name."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(LEASES).order_by(LEASES.c.name)).all()
        return [self._holder(row.name, row.holder, row.beat) for row in rows]

    def release(self, name: str) -> Holder | None:
        """End the lease `name`, whoever holds it, and return the holder, None for a free lease.

        For a holder that is alive but stuck. If it wakes up, it uses what the next holder made.
        """
        with self._database.transaction() as connection:
            one = delete(LEASES).where(LEASES.c.name == name).returning(LEASES.c.holder, LEASES.c.beat)
            row = connection.execute(one).first()
        return None if row is None else self._holder(name, row.holder, row.beat)

    def _holder(self, name: str, holder: str, beat: int) -> Holder:
        return Holder(name, holder.partition("#")[0], beat * self._beat)

    def _explain(self, name: str, work: str, holder: str, beat: int) -> None:
        by = self._holder(name, holder, beat)
        self._listener(
            Notice(
                f"{work}: still held by {by.text}, which shows signs of life; if it is stuck, end it, or run "
                f"`eenas release {shlex.quote(name)}` with this storage"
            )
        )

    def _wait(self, lease: "_Lease", work: str, is_made: Callable[[], bool]) -> bool:
        """Take the lease, if need be from a dead holder, and return True. Return False once `is_made` does."""
        phase, seen, since, told = f"waiting for another worker: {work}", ("", -1), time.monotonic(), False
        explain_at, patience = time.monotonic() + self._patience, self._patience
        while not (made := is_made()) and not lease.take():
            now = lease.holder()
            if now is None:
                continue
            if now != seen:
                seen, since = now, time.monotonic()
            gone = is_gone(now[0].partition("#")[0])
            if (gone or time.monotonic() - since > self._expiry) and lease.take_over(*now):
                self._listener(Notice(f"{work}: the worker that held the lease is gone; this one takes over"))
                break
            if not told:
                self._listener(Started(phase))
                told = True
            pause_point()
            if time.monotonic() >= explain_at:
                self._explain(lease.name, work, *now)
                patience *= 2
                explain_at = time.monotonic() + patience
            if self._while_waiting is not None:
                self._while_waiting()
            time.sleep(POLL)
        if told:
            self._listener(Finished(phase))
        return not made


class _Lease:
    """One worker's claim to the lease `name`, with a heartbeat thread."""

    def __init__(self, database: Database, name: str, beat: float) -> None:
        self._database, self.name, self._beat = database, name, beat
        self._me = f"{worker_name()}#{uuid4().hex[:12]}"
        self._mine = (LEASES.c.name == name) & (LEASES.c.holder == self._me)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)

    def take(self) -> bool:
        """Take the lease if it is free, and return whether it was."""
        return self._database.insert(LEASES, {"name": self.name, "holder": self._me, "beat": 0})

    def holder(self) -> tuple[str, int] | None:
        """Return the holder and its last heartbeat, or None for a free lease."""
        with self._database.transaction() as connection:
            row = connection.execute(select(LEASES.c.holder, LEASES.c.beat).where(LEASES.c.name == self.name)).first()
        return None if row is None else (row.holder, row.beat)

    def take_over(self, holder: str, beat: int) -> bool:
        """Take the lease from `holder` unless its heartbeat changed or another worker was faster."""
        same = (LEASES.c.name == self.name) & (LEASES.c.holder == holder) & (LEASES.c.beat == beat)
        return self._database.change(update(LEASES).where(same).values(holder=self._me, beat=0))

    def start(self) -> None:
        """Start the heartbeats."""
        self._thread.start()

    def release(self) -> bool:
        """Release the lease, and return whether this worker held it to the end. A lost storage counts as held."""
        self._ended.set()
        self._thread.join()
        with suppress(StorageError):
            return self._database.change(delete(LEASES).where(self._mine))
        return True

    def _send_heartbeats(self) -> None:
        while not self._ended.wait(self._beat):
            with suppress(StorageError):  # if the storage is unreachable for long, the lease expires
                if not self._database.change(update(LEASES).where(self._mine).values(beat=LEASES.c.beat + 1)):
                    return

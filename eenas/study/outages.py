"""Work before the first trial that outlasts a database server that is away for a moment."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from eenas.errors import StorageError
from eenas.faults import causes, interrupt_of
from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.urls import read_url
from eenas.study.trials.turn import AWAY

POLL = 0.5
"""The seconds between two tries to reach a server."""
OUTAGES = 3
"""The largest number of outages of one piece of work."""
_PASSING = (
    "connection refused",
    "connection reset",
    "connection timeout",
    "starting up",
    "shutting down",
    "recovery mode",
    "administrator command",
    "crash of another",
    "closed the connection",
    "connection is lost",
    "connection is closed",
    "no error details",
)
"""What drivers say of a server that is away. A wrong password, account or host name does not pass."""
_DRIVERS = ("sqlalchemy.", "psycopg.")
"""The modules whose errors are those of the database. A bucket that is away is no reason to wait for the database."""

Made = TypeVar("Made")


def despite_outages(
    storage: str, work: Callable[[], Made], listener: Listener, *, away: float = AWAY, check: Callable[[], object]
) -> Made:
    """Return the result of `work`, which is called again when a server that was away answers again.

    `work` must be repeatable. `check` is called while this waits, and may raise. Raises the errors of `work`; that of a
    server which stays away comes after `away` seconds. A file is never waited for.
    """
    outer = sys.exception()
    for _ in range(OUTAGES):
        try:
            return work()
        except Exception as error:
            if interrupt_of(error, outer) or not _is_away(error) or read_url(storage).get_backend_name() == "sqlite":
                raise
            said = next((str(each) for each in causes(error) if isinstance(each, StorageError)), "the storage is away")
            listener(Notice(f"{said}; waiting up to {away:.0f} s for it"))
            if not _answers(storage, away, check):
                raise
            listener(Notice("the storage answers again; the search goes on"))
    return work()


def _is_away(error: BaseException) -> bool:
    said = " ".join(str(each).lower() for each in causes(error) if type(each).__module__.startswith(_DRIVERS))
    return any(words in said for words in _PASSING)


def _answers(storage: str, seconds: float, check: Callable[[], object]) -> bool:
    """Whether the server answers within `seconds`, with an error or without."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        try:
            Database(storage, create=False).close()
        except StorageError as error:
            if _is_away(error):
                time.sleep(POLL)
                continue
        return True
    return False

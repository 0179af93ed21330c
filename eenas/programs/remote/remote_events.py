"""The last changes of a link and of the split, each also a line in the log "eenas.remote"."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

REMOTE_LOG = "eenas.remote"
MOST_EVENTS = 1000


@dataclass(frozen=True, kw_only=True)
class RemoteEvent:
    """A change of the "link" or the "split" from `old` to `new`, and why. `time` is in seconds since the epoch."""

    kind: str
    old: str
    new: str
    why: str
    time: float


class RemoteEvents:
    """The last 1,000 events, oldest first. Threads may add events."""

    def __init__(self) -> None:
        self._kept: deque[RemoteEvent] = deque(maxlen=MOST_EVENTS)
        self._lock = threading.Lock()

    def add(self, kind: str, old: str, new: str, why: str) -> None:
        """Keep and log an event, a lost link as a warning."""
        event = RemoteEvent(kind=kind, old=old, new=new, why=why, time=time.time())
        with self._lock:
            self._kept.append(event)
        level = logging.WARNING if kind == "link" and new != "up" else logging.INFO
        reason = f" ({why})" if why else ""
        change = f"{old or 'cloud-only'} -> {new or 'cloud-only'}"
        logging.getLogger(REMOTE_LOG).log(level, "%s: %s%s", kind, change, reason)

    @property
    def kept(self) -> tuple[RemoteEvent, ...]:
        """The events."""
        with self._lock:
            return tuple(self._kept)

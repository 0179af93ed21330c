"""Waiting for a file lock, with a notice that names the resource and its holder."""

import os
import time
from contextlib import suppress
from pathlib import Path

from eenas.progress import notify

SOON = 2.0
"""Seconds of waiting before a notice."""
_POLL = 0.05


def acquire(handle: int, path: Path, what: str) -> None:
    """Lock the open file `handle` of `path`, waiting for other processes. Closing the file releases the lock.

    `what` names the resource in the notice. Systems and file systems without locks do not lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    start, said = time.monotonic(), False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError:  # a network file system without locks
            return
        if not said and time.monotonic() - start >= SOON:
            said = True
            notify(f"waiting for {what}, {_holder(handle, path)}")
        time.sleep(_POLL)


def _holder(handle: int, path: Path) -> str:
    """Return a clause that names the holder of the lock, or how to find it."""
    inode = str(os.fstat(handle).st_ino)
    with suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"locked by process {words[4]} (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"locked by another process (`fuser -v {path}` shows it)"

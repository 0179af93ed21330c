"""Waiting for the lock of a file, with a notice of what is waited for and who holds it."""

import os
import time
from contextlib import suppress
from pathlib import Path

from eenas.progress import notify

SOON = 2.0
"""Seconds after which a notice says what is waited for."""
_POLL = 0.05


def wait_for(handle: int, path: Path, what: str) -> None:
    """Lock the open file `handle` of `path`, as soon as no other process does; the lock is released when it is closed.

    `what` names in a message what is locked. Where the system or the file system has no locks nothing is locked.
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
    """A clause that says who holds the lock, or how to find out."""
    inode = str(os.fstat(handle).st_ino)
    with suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"which process {words[4]} has locked (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"which another process has locked (`fuser -v {path}` shows it)"

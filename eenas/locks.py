"""Files as locks among processes; whoever waits for one says what for, and who holds it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from eenas.errors import StorageError
from eenas.progress import notify

SOON = 2.0
"""Seconds of waiting after which it is said."""
_POLL = 0.05


@contextlib.contextmanager
def locked(path: Path, what: str, *, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock of the file `path` inside the block; waits for its turn. It falls with the process that holds it.

    `what` names in a message what is locked; `meanwhile` is called again and again while this waits, and may raise.
    Where the system or the file system has no locks nothing is locked. Raises StorageError when there is no such file
    and none can be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(f"{path}: no lock can be made there ({error.strerror}); make the folder writable") from None
    try:
        wait_for(handle, path, what, meanwhile=meanwhile)
        yield
    finally:
        os.close(handle)


def wait_for(handle: int, path: Path, what: str, *, meanwhile: Callable[[], object] | None = None) -> None:
    """Lock the open file `handle` of `path`, as soon as nobody else does; see `locked`."""
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
        if meanwhile is not None:
            meanwhile()
        time.sleep(_POLL)


def _holder(handle: int, path: Path) -> str:
    """A clause that says who holds the lock, or how to find out."""
    inode = str(os.fstat(handle).st_ino)
    with contextlib.suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"which process {words[4]} has locked (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"which another process has locked (`fuser -v {path}` shows it)"

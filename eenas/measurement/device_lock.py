"""A lock that allows one measurement at a time per device of this machine."""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from eenas.errors import MachineError
from eenas.progress import notify

SOON = 2.0
"""Seconds of waiting before a notice."""
HELD = Path("/proc/locks")
"""Where Linux lists the locks that are held."""
_POLL = 0.05


@contextlib.contextmanager
def device_lock(device: torch.device) -> Iterator[None]:
    """Hold the lock of `device` inside the block, across all processes and threads, after waiting for it.

    The lock is a file in the temporary folder, and is released when its process ends. Systems without file locks
    (Windows) do not lock. The lock is not reentrant. Raises MachineError if the file cannot be created.
    """
    path = lock_file(device)
    handle = _open(path)
    try:
        acquire(handle, path, f"the device {device}, which runs one measurement at a time")
        yield
    finally:
        os.close(handle)


def lock_file(device: torch.device) -> Path:
    """Return the path of the lock file, in the temporary folder, common to all users of the machine."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{device.type}-{device.index or 0}")
    return Path(tempfile.gettempdir()) / f"eenas-{name}.lock"


def _open(path: Path) -> int:
    """Open the lock file.

    An existing one is opened without O_CREAT, which some systems refuse for another user's file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    try:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        handle = os.open(path, flags | os.O_CREAT, 0o644)
    except OSError as error:
        raise MachineError(
            f"{path}: the lock of the device cannot be opened ({error.strerror}); set TMPDIR to a writable folder"
        ) from None
    return handle


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
    with contextlib.suppress(OSError, IndexError):
        for line in HELD.read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"locked by process {words[4]} (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"locked by another process (`fuser -v {path}` shows it)"

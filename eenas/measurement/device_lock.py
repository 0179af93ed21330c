"""A lock that lets one measurement at a time run on a device of this machine."""

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
"""Seconds after which a notice says what is waited for."""
HELD = Path("/proc/locks")
"""Where Linux lists the locks that are held."""
_POLL = 0.05


@contextlib.contextmanager
def device_lock(device: torch.device) -> Iterator[None]:
    """Hold the lock of `device` inside the block, among all processes and threads; waits for its turn.

    The lock is a file in the temporary folder, and ends with the process that holds it. Where the system has no file
    locks (Windows) nothing is locked. It must not be taken again inside the block. Raises MachineError when the file
    cannot be made.
    """
    path = lock_file(device)
    handle = _open(path)
    try:
        wait_for(handle, path, f"the device {device}, on which one measurement runs at a time")
        yield
    finally:
        os.close(handle)


def lock_file(device: torch.device) -> Path:
    """The file of the lock: one for all users of the machine, in the temporary folder."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{device.type}-{device.index or 0}")
    return Path(tempfile.gettempdir()) / f"eenas-{name}.lock"


def _open(path: Path) -> int:
    """A handle to lock. A file that another user made is opened as it is: some systems refuse to create over it."""
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
    with contextlib.suppress(OSError, IndexError):
        for line in HELD.read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"which process {words[4]} has locked (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"which another process has locked (`fuser -v {path}` shows it)"

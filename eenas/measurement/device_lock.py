"""A lock that allows one measurement at a time per device of this machine."""

import contextlib
import errno
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from eenas.errors import MachineError
from eenas.measurement.pauses import announced, pausing, released
from eenas.progress import notify

SOON = 2.0
"""Seconds of waiting before a notice."""
HELD = Path("/proc/locks")
"""Where Linux lists the locks that are held."""
FOLDER = "eenas-locks"
"""The folder of the lock files in the temporary folder. All users of the machine can write to it."""
_POLL = 0.05
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""The errors of file systems without locks."""


@contextlib.contextmanager
def device_lock(device: torch.device) -> Iterator[None]:
    """Hold the lock of `device` inside the block, across all processes and threads, after waiting for it.

    Trials of other workers that the measurement would disturb pause meanwhile (see `at_work`). The lock is a file in
    the temporary folder, and is released when its process ends. File systems without locks do not lock. The lock is not
    reentrant. Raises MachineError if the file cannot be created.
    """
    what = f"the device {device}, which runs one measurement at a time"
    with released(), locked(lock_file(device), what), announced(_folder(), _name(device)):
        yield


@contextlib.contextmanager
def at_work(device: torch.device, idle: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Run a trial on `device` inside the block, with pauses while a measurement of another process runs.

    Measurements on a CPU pause every trial on the machine, since each uses the CPU. Those on another device pause the
    trials on it. `idle` is called at the points of pauses.
    """
    names = tuple(dict.fromkeys((_name(torch.device("cpu")), _name(device))))
    with pausing(_folder(), names, idle):
        yield


def lock_file(device: torch.device) -> Path:
    """Return the path of the lock file, in the temporary folder, common to all users of the machine."""
    return _folder() / f"eenas-{_name(device)}.lock"


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / FOLDER


def _name(device: torch.device) -> str:
    """Return the name of a device in file names: of a GPU its identifier, since processes number GPUs differently."""
    number: object = device.index or 0
    if device.type == "cuda" and torch.cuda.is_available():
        number = getattr(torch.cuda.get_device_properties(device), "uuid", number)
    return re.sub(r"[^a-z0-9]+", "-", f"{device.type}-{number}".lower())


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of the file `path` inside the block; `what` names the resource in the notice of a wait.

    The file and its folder are made for all users: another user's file in a folder with the sticky bit, such as /tmp,
    may not be opened. Raises MachineError if they cannot be.
    """
    lock = FileLock(path, mode=0o666, poll_interval=_POLL, fallback_to_soft=False)
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(0o777)  # the umask applies to mkdir
        try:
            lock.acquire(timeout=SOON)
        except Timeout:
            notify(f"waiting for {what}, {_holder(path)}")
            lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise MachineError(
                f"{path}: the lock of the device cannot be opened ({error.strerror}); set TMPDIR to a writable folder"
            ) from None
    try:
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Return a clause that names the holder of the lock, or how to find it."""
    with contextlib.suppress(OSError, IndexError):
        inode = str(path.stat().st_ino)
        for line in HELD.read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"locked by process {words[4]} (`ps -f -p {words[4]}` shows it; the lock is {path})"
    return f"locked by another process (`fuser -v {path}` shows it)"

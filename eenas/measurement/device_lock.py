"""A lock that lets one measurement at a time run on a device of this machine."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from eenas.errors import MachineError
from eenas.locks import wait_for


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

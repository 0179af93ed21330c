"""A lock that allows one measurement at a time per device of this machine."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from eenas.errors import MachineError
from eenas.locks import acquire


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

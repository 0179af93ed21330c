"""Workers: names of the processes that share a storage, and whether they still run."""

import os
import socket
from pathlib import Path


def worker_name() -> str:
    """Return the name of this process in records: "host:process"."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(worker: str) -> bool:
    """Whether a worker on this machine has ended. False for other machines, which only heartbeats can tell."""
    host, _, process = worker.rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(process)


def _is_zombie(process: str) -> bool:
    """Whether a process has ended but was not reaped by its parent (Linux)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[:1] == ["Z"]

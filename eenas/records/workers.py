"""Workers: the processes that share a storage, by their names."""

import os
import socket
from pathlib import Path


def worker_name() -> str:
    """This process as records name it: "host:process"."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(worker: str) -> bool:
    """Whether a worker of this machine has ended; of other machines only signs of life tell."""
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
    """Whether a process has ended and only its parent has not asked how, as Linux tells."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[:1] == ["Z"]

"""Processes of this machine: whether they run, and limits on their threads."""

import os
from pathlib import Path

from eenas.errors import DeviceError

PER_CORE = 16
"""The largest number of threads per core of this machine. More would only compete for memory and time."""

MOST_THREADS = 4096
"""The largest number of threads in settings, for any machine."""
_LONGEST_NUMBER = 18


def check_threads(threads: int) -> int:
    """Return `threads`. Raises DeviceError unless it is from 1 to PER_CORE per core."""
    cores = os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= PER_CORE * cores:
        raise DeviceError(
            f"threads must be a whole number from 1 to {PER_CORE * cores} ({PER_CORE} for each of {cores} cores), got "
            f"{threads!r:.60}; omit it for the default"
        )
    return threads


def is_running(process: str) -> bool:
    """Whether the process with this number runs. One that has ended does not, even before its parent notices (Linux).

    Any text may be given. Processes of other users count, too.
    """
    if not (process.isascii() and process.isdecimal() and len(process) <= _LONGEST_NUMBER and int(process)):
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        pass
    return _state_of(process) != "Z"


def is_suspended(process: str) -> bool:
    """Whether the process with this number is suspended. False where this is unknown, as outside Linux."""
    return _state_of(process) == "T"


def _state_of(process: str) -> str:
    """Return the letter of a process's state in /proc, or "" if it is unknown."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(status.rpartition(")")[2].split()[:1])

"""Limits on the number of threads."""

import os

from eenas.errors import DeviceError

PER_CORE = 16
"""The largest number of threads per core of this machine. More would only compete for memory and time."""

MOST_THREADS = 4096
"""The largest number of threads in settings, for any machine."""


def check_threads(threads: int) -> int:
    """Return `threads`. Raises DeviceError unless it is from 1 to PER_CORE per core."""
    cores = os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= PER_CORE * cores:
        raise DeviceError(
            f"threads must be a whole number from 1 to {PER_CORE * cores} ({PER_CORE} for each of {cores} cores), got "
            f"{threads!r:.60}; omit it for the default"
        )
    return threads

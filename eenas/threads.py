"""How many threads a machine is asked for at most."""

import os

from eenas.errors import DeviceError

PER_CORE = 16
"""Threads for each core of this machine; more only take memory and time from each other."""

MOST_THREADS = 4096
"""Threads that settings may name, whichever machine they are for."""


def check_threads(threads: int) -> int:
    """The number itself. Raises DeviceError below 1 and above PER_CORE for each core, before any memory is taken."""
    cores = os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= PER_CORE * cores:
        raise DeviceError(
            f"threads must be a whole number from 1 to {PER_CORE * cores} ({PER_CORE} for each of {cores} cores), got "
            f"{threads!r:.60}; leave them out for the default"
        )
    return threads

"""Gloo's threads: a process may not end while one of them still releases the tensors of a finished operation."""

import time
from pathlib import Path

_NAME = "pt_gloo_runloop"
_PAUSE = 0.001  # seconds between two looks, in which this thread leaves Python's lock to others
_LOOKS = 5
"""Looks in a row at which every thread must sleep. One that waits for Python's lock sleeps too, but gets it at once."""
_PATIENCE = 5.0  # seconds


def await_gloo_threads(tasks: Path = Path("/proc/self/task")) -> bool:
    """Wait until Gloo's threads of this process have nothing to do, and return whether that is so.

    An operation counts as done before its thread has released the tensors. To release a tensor of Python it needs
    Python's lock, and before version 3.14 a thread that asks for the lock of an interpreter on its way out is ended,
    which aborts the process inside C++. The group may outlive its end: caches of divided tensors hold it. Only Linux
    tells what threads do; elsewhere nothing is awaited.
    """
    limit = time.monotonic() + _PATIENCE
    asleep = 0
    while asleep < _LOOKS:
        asleep = asleep + 1 if all(state == "S" for state in _states(tasks)) else 0
        if time.monotonic() > limit:
            return False
        time.sleep(_PAUSE)
    return True


def _states(tasks: Path) -> list[str]:
    """Return the letter of the state of each thread of Gloo; one that ends meanwhile is left out."""
    found = []
    for task in tasks.glob("*/stat"):
        try:
            text = task.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        if name == _NAME:
            found.append(rest.split()[0])
    return found

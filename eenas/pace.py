"""How often long work is saved: as often as saving costs a small share of its time."""

import time
from collections.abc import Callable

SHARE = 0.05
"""The part of the time that saving may take."""


class Pace:
    """Saving is due at the first chance, and then again after `1 / SHARE` times as long as it took the last time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()

    def is_due(self) -> bool:
        """Whether to save now."""
        return self._clock() >= self._next

    def save(self, write: Callable[[], object]) -> None:
        """Save by `write`, and see how long it takes."""
        start = self._clock()
        write()
        end = self._clock()
        self._next = end + (end - start) / SHARE

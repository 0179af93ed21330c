"""Pacing of checkpoints, so that saving takes only a small share of the time."""

import time
from collections.abc import Callable

SHARE = 0.05
"""The share of the time that saving may take."""


class Pace:
    """Saving is due at once, and then again after `1 / SHARE` times the duration of the last save."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()

    def is_due(self) -> bool:
        """Whether to save now."""
        return self._clock() >= self._next

    def save(self, write: Callable[[], object]) -> None:
        """Call `write` to save, and measure its duration."""
        start = self._clock()
        write()
        end = self._clock()
        self._next = end + (end - start) / SHARE

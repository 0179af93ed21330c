"""The time that a search may take, from the start of its command, and what it went to."""

import time
from collections.abc import Callable

from eenas.errors import TimeOverError
from eenas.progress import Event, Finished, Listener, Started

LOADING = "loading"
"""What a command does before its first phase."""


class TimeLimit:
    """`seconds` (None: no limit) from `started`, a reading of `clock`; by default from now.

    Preparation asks `check` whenever a part of it is kept, so that each command gets on by one part at least. Trials
    are not ended: `lift` says that they begin.
    """

    def __init__(
        self,
        seconds: float | None = None,
        started: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self._clock = seconds, clock
        self._started = clock() if started is None else started
        self._is_lifted = False
        self._spent: dict[str, float] = {}
        self._phase, self._since = LOADING, self._started

    def left(self) -> float | None:
        """Seconds that are left, below 0 where it is over; None without a limit."""
        return None if self.seconds is None else self._started + self.seconds - self._clock()

    def check(self) -> None:
        """Raise TimeOverError, which says what took the time, where it is over and not lifted."""
        left = self.left()
        if left is not None and left <= 0 and not self._is_lifted:
            raise self.error()

    def lift(self) -> None:
        """What comes now is not ended by `check`."""
        self._is_lifted = True

    def error(self) -> TimeOverError:
        """The error for a search in which no trial finished in time."""
        self._book()
        parts = ", ".join(f"{seconds:.1f} s {phase}" for phase, seconds in self._spent.items() if seconds >= 0.05)
        return TimeOverError(
            f"the time limit of {self.seconds:g} s ended before a trial finished ({parts}); what was made is kept, and "
            "the same command goes on from there; a longer --timeout reaches the trials"
        )

    def hearing(self, listener: Listener) -> Listener:
        """`listener`, whose phases are timed."""

        def hear(event: Event) -> None:
            if isinstance(event, Started):
                self._book(event.phase)
            elif isinstance(event, Finished) and event.phase == self._phase:
                self._book("between")
            listener(event)

        return hear

    def _book(self, next_phase: str | None = None) -> None:
        now = self._clock()
        self._spent[self._phase] = self._spent.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = next_phase or self._phase, now

"""The time limit of a search, from the start of its command, and the time spent in each phase."""

import time
from collections.abc import Callable

from eenas.errors import TimeOverError
from eenas.progress import Event, Finished, Listener, Started

LOADING = "loading"
"""The phase before the first event of a command."""


class TimeLimit:
    """A limit of `seconds` (None: no limit) from `started`, a reading of `clock` (default: now).

    Preparation calls `check` after it has stored a part, so each command completes at least one part. Trials are not
    interrupted: `lift` marks their beginning.
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
        """Return the remaining seconds, negative after the limit, or None without a limit."""
        return None if self.seconds is None else self._started + self.seconds - self._clock()

    def check(self) -> None:
        """Raise TimeOverError, which lists the time of each phase, if the time is over and the limit is not lifted."""
        left = self.left()
        if left is not None and left <= 0 and not self._is_lifted:
            raise self.error()

    def lift(self) -> None:
        """Disable `check` from now on."""
        self._is_lifted = True

    def error(self) -> TimeOverError:
        """Return the error for a search in which no trial finished in time."""
        self._book()
        parts = ", ".join(f"{seconds:.1f} s {phase}" for phase, seconds in self._spent.items() if seconds >= 0.05)
        return TimeOverError(
            f"the time limit of {self.seconds:g} s ended before a trial finished ({parts}); completed steps are kept: "
            "rerun the command to continue, with a longer --timeout to reach the trials"
        )

    def hearing(self, listener: Listener) -> Listener:
        """Return a listener that times the phases and passes all events to `listener`."""

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

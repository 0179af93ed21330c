"""The progress of several workers as that of one study."""

from collections.abc import Callable

from eenas.progress import Advanced, Event, Finished, Listener, Notice, Started

SEARCHING = "searching"
"""The phase of the trials, which all workers share: their numbers come from the storage."""
WAITING = "waiting for another worker"
"""The beginning of phases that tell nothing when all workers are shown together."""


class CombinedProgress:
    """A listener for each worker, which together show one study on `listener`.

    A phase is shown by the first worker that enters it, and notices that several workers give are shown once. The
    trials count for all workers together and never go back.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._owners: dict[str, int] = {}
        self._said: set[str] = set()
        self._done = -1.0
        self._detail = ""
        self._is_open = False

    def of(self, worker: int) -> Callable[[Event], None]:
        """Return the listener of a worker."""
        return lambda event: self._hear(worker, event)

    def forget(self, worker: int) -> None:
        """Let others show the phases of a worker that has ended early."""
        self._owners = {phase: owner for phase, owner in self._owners.items() if owner != worker}

    def finish(self) -> None:
        """End the phase of the trials, if it began."""
        if self._is_open:
            self._is_open = False
            self._listener(Finished(SEARCHING, self._detail))

    def _hear(self, worker: int, event: Event) -> None:
        if isinstance(event, Notice):
            if event.text not in self._said:
                self._said.add(event.text)
                self._listener(Notice(event.text))  # one worker that is stopped does not stop the search
        elif event.phase == SEARCHING:
            self._search(event)
        elif not event.phase.startswith(WAITING) and self._owners.setdefault(event.phase, worker) == worker:
            self._listener(event)

    def _search(self, event: Started | Advanced | Finished) -> None:
        if isinstance(event, Started) and not self._is_open:
            self._is_open = True
            self._listener(event)
        elif isinstance(event, Advanced) and event.done > self._done:
            self._done, self._detail = event.done, event.detail
            self._listener(event)
        elif isinstance(event, Finished):
            self._detail = event.detail or self._detail

"""The supervisor of a search by several workers: it starts them, shows their progress, and replaces those that die."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import eenas.errors as errors
from eenas.errors import EenasError, StudyError, TimeOverError
from eenas.progress import Listener, Notice, Started
from eenas.workers.combined_progress import SEARCHING, CombinedProgress
from eenas.workers.messages import Ended, Message, Reached, RunningWorker

POLL = 0.05
"""The seconds between two looks at the workers."""
DEATHS = 3
"""A worker that dies so often in a row, with no finished trial between, ends the search."""
ENDING = 60.0
"""The seconds that workers have to give their trials back before they are killed."""
PATIENCE = 2.0
"""The seconds until a notice that says what the end of the search waits for."""

Launch = Callable[[int], RunningWorker]
"""Starts the worker of a number, from 1."""


@dataclass
class Slot:
    """One of the workers: the process or task that runs now, how it ended, and its deaths since its last trial."""

    number: int
    running: RunningWorker
    ended: Ended | None = None
    deaths: list[str] = field(default_factory=list)


class Supervisor:
    """Runs `count` workers until all have ended.

    `after_trial` is called with the name of the study whenever a worker reports a finished trial.
    """

    def __init__(self, launch: Launch, count: int, listener: Listener, after_trial: Callable[[str], object]) -> None:
        self._launch, self._count, self._listener, self._after_trial = launch, count, listener, after_trial
        self._progress = CombinedProgress(listener)
        self._slots: list[Slot] = []
        self.name: str | None = None
        self.interrupt: KeyboardInterrupt | None = None
        self.is_refused = False
        """Whether a worker reported an error that all would meet, before any began its trials or died."""
        self._is_searching = False

    def run(self) -> bool:
        """Run the workers, and return whether Ctrl-C ended them. None runs when this returns or raises.

        Raises the error of a worker that every worker would meet, StudyError if a worker died DEATHS times in a row,
        and TimeOverError if the time was over before a trial finished.
        """
        try:
            for number in range(1, self._count + 1):
                self._slots.append(Slot(number, self._launch(number)))
            while any(slot.ended is None for slot in self._slots):
                if not self._look():
                    time.sleep(POLL)
        except KeyboardInterrupt as error:
            self.interrupt = error
        finally:
            self._end_all()
            self._progress.finish()
        late = [slot.ended for slot in self._slots if slot.ended is not None and slot.ended.how == "late"]
        if late and self.interrupt is None and all(slot.ended in late for slot in self._slots):
            raise TimeOverError(late[0].reason)
        return self.interrupt is not None

    def _look(self) -> bool:
        """Handle the messages of all workers, and return whether there were any."""
        heard = False
        is_over = any(slot.ended is not None and slot.ended.how in ("done", "late") for slot in self._slots)
        for slot in self._slots:
            if slot.ended is None:
                if is_over:  # one that is suspended would never learn it
                    slot.running.wake()
                for message in slot.running.messages():
                    heard = True
                    self._handle(slot, message)
        return heard

    def _handle(self, slot: Slot, message: Message) -> None:
        self._note(message)
        if isinstance(message, Reached):
            slot.deaths.clear()
            self._is_searching = True
            self._after_trial(message.name)
        elif not isinstance(message, Ended):
            self._is_searching |= isinstance(message, Started) and message.phase == SEARCHING
            self._progress.of(slot.number)(message)
        elif message.how == "error":
            slot.ended = message
            self.is_refused = not self._is_searching and not any(each.deaths for each in self._slots)
            raise _error_of(message)
        elif message.how == "died":
            self._replace(slot, message)
        else:
            slot.ended = message

    def _note(self, message: Message) -> None:
        """Keep the name of the study. Ctrl-C may cost messages that were read at the same look, but no last one."""
        if isinstance(message, Reached):
            self.name = message.name
        elif isinstance(message, Ended) and message.study:
            self.name = message.study

    def _replace(self, slot: Slot, ended: Ended) -> None:
        slot.deaths.append(ended.reason)
        slot.ended = ended
        self._progress.forget(slot.number)
        if len(slot.deaths) >= DEATHS:
            raise StudyError(
                f"worker {slot.number} died {DEATHS} times in a row: {ended.reason}; fix the cause and rerun the "
                "command, finished trials are kept"
            )
        self._listener(
            Notice(f"worker {slot.number} died: {ended.reason}; another one is started, and its trial is run again")
        )
        slot.running.kill()
        slot.running, slot.ended = self._launch(slot.number), None

    def _end_all(self) -> None:
        """End every worker: those that run give their trials back first. A second Ctrl-C kills them."""
        try:
            open_ = [slot for slot in self._slots if slot.ended is None]
            for slot in open_:
                slot.running.stop()
            start, told = time.monotonic(), False
            while open_ and time.monotonic() - start < ENDING:
                if not told and time.monotonic() - start > PATIENCE:
                    told = True
                    self._listener(Notice("waiting for the workers to give their trials back; Ctrl-C again ends them"))
                for slot in open_:
                    for message in slot.running.messages():
                        self._note(message)
                        if isinstance(message, Ended):
                            slot.ended = message
                open_ = [slot for slot in open_ if slot.ended is None]
                time.sleep(POLL)
        except KeyboardInterrupt:
            pass
        finally:
            for slot in self._slots:
                slot.running.kill()


def _error_of(ended: Ended) -> EenasError:
    """Return the error of a worker as one of this process."""
    kind = getattr(errors, ended.kind, EenasError)
    found: EenasError = kind(ended.reason)
    return found

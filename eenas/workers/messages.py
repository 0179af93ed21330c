"""What a worker tells the process that started it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from eenas.errors import EenasError, MachineError, TimeOverError
from eenas.faults import interrupt_of
from eenas.progress import Event

How = Literal["done", "error", "late", "stopped", "died"]


@dataclass(frozen=True)
class Reached:
    """A worker has finished a trial of the study `name`, or found its trials finished."""

    name: str


@dataclass(frozen=True)
class Ended:
    """A worker has ended.

    `how` is "done" (the study has its trials, or the time is over), "error" (one that every worker would meet; `reason`
    is its message and `kind` its class in `eenas.errors`), "late" (the time was over before a trial finished),
    "stopped" (as it was asked to), or "died". `study` is the name of the study in which it has run trials, if it knows.
    """

    how: How
    reason: str = ""
    kind: str = ""
    study: str = ""


Message = Event | Reached | Ended


class RunningWorker(Protocol):
    """A worker that was started, wherever it runs."""

    def messages(self) -> list[Message]:
        """Return the messages since the last call. The last one of a worker is `Ended`, which later calls repeat."""

    def stop(self) -> None:
        """Ask the worker to give its trial back and to end, also if it is suspended."""

    def wake(self) -> None:
        """Let the worker go on if it is suspended."""

    def kill(self) -> None:
        """End the worker at once."""


def ended_by(error: BaseException) -> Ended:
    """Return how a worker ended that raised `error`. Faults of its machine and bugs count as its death."""
    if interrupt_of(error) is not None:
        return Ended("stopped")
    text = " ".join(str(error).split())
    if isinstance(error, TimeOverError):
        return Ended("late", text, type(error).__name__)
    if isinstance(error, EenasError) and not isinstance(error, MachineError):
        return Ended("error", text, type(error).__name__)
    return Ended("died", text if isinstance(error, EenasError) else f"{type(error).__name__}: {text}")

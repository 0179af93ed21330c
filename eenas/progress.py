"""Progress events from long work to a listener.

The library itself never prints.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Notice:
    """A notice of one line, such as a default that was used or a repair."""

    text: str


@dataclass(frozen=True)
class Stopped(Notice):
    """Ctrl-C or SIGTERM has ended the trials before their total; what was found follows."""

    interrupt: KeyboardInterrupt = field(default_factory=KeyboardInterrupt, compare=False)


@dataclass(frozen=True)
class Started:
    """A phase has started; `total` is the number of its steps (epochs, trials), None if unknown."""

    phase: str
    total: int | None = None


@dataclass(frozen=True)
class Advanced:
    """A phase has completed `done` of its steps; `detail` is a short text such as the best score so far."""

    phase: str
    done: float
    detail: str = ""


@dataclass(frozen=True)
class Finished:
    """A phase has ended."""

    phase: str
    detail: str = ""


Event = Notice | Started | Advanced | Finished
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=silent)


@contextmanager
def notices_to(listener: Listener) -> Iterator[None]:
    """Send the notices of `notify` inside the block to `listener`, so that deep code needs no listener argument."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def notify(text: str) -> None:
    """Send a notice to the current listener."""
    _LISTENER.get()(Notice(text))

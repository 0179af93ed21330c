"""Events that long work sends to whoever listens; the library itself never prints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One line worth reading, such as a default that was taken or a repair that was made."""

    text: str


@dataclass(frozen=True)
class Started:
    """A phase begins; `total` counts its steps (epochs, trials), or is None where it is not known."""

    phase: str
    total: int | None = None


@dataclass(frozen=True)
class Advanced:
    """A phase has made `done` of its steps; `detail` is a short text such as the best score so far."""

    phase: str
    done: float
    detail: str = ""


@dataclass(frozen=True)
class Finished:
    """A phase is over."""

    phase: str
    detail: str = ""


Event = Notice | Started | Advanced | Finished
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener that ignores everything."""


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=silent)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let `listener` hear the notices of `notify` inside the block: deep code is given no listener."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def notify(text: str) -> None:
    """Say one line to whoever listens to the work that is under way."""
    _LISTENER.get()(Notice(text))

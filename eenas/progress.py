"""Events that long work sends to whoever listens; the library itself never prints."""

from collections.abc import Callable
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

"""Ctrl-C and SIGTERM that wait for the end of a short step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM inside the block take effect at its end, and a second one at once.

    Only the main thread is interrupted, so in others this does nothing.
    """
    came: list[Callable[[], Any]] = []
    try:
        with ExitStack() as held:
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    if callable(handler := signal.getsignal(number)):
                        _hold(number, handler, came, held)
            yield
    finally:
        for deliver in came:
            deliver()


def _hold(number: int, handler: Callable[..., Any], came: list[Callable[[], Any]], held: ExitStack) -> None:
    def hold(number: int, frame: Any) -> None:
        if came:
            came.clear()
            handler(number, frame)
        else:
            came.append(lambda: handler(number, frame))

    def restore() -> None:
        if signal.getsignal(number) is hold:  # a handler may have set another one
            signal.signal(number, handler)

    held.callback(restore)
    signal.signal(number, hold)

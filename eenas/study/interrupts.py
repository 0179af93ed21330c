"""Ctrl-C and SIGTERM that wait for the end of a short step, and that are repeated where Python swallows them."""

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

SOON = 0.05
"""The seconds until a swallowed interrupt is repeated, when the finalizer has ended."""


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


@contextmanager
def after_interrupt(interrupt: KeyboardInterrupt | None) -> Iterator[None]:
    """Raise `interrupt` in the place of errors inside the block, if there was one: it may have cut off an import.

    A module that was imported by halves raises errors of any kind when it is used.
    """
    try:
        yield
    except Exception as error:
        if interrupt is None:
            raise
        raise interrupt from error


def repeat_swallowed(number_of: Callable[[BaseException | None], signal.Signals]) -> None:
    """Interrupt the main thread again, soon, where an interrupt ends in a finalizer, in which Python drops errors.

    `number_of` gives the signal that raised an interrupt, and may set its handler.
    """
    before = sys.unraisablehook

    def drop(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        again = threading.Timer(SOON, _interrupt_main, (number_of(dropped.exc_value),))
        again.daemon = True
        with contextlib.suppress(RuntimeError):  # the interpreter ends, and no thread can start
            again.start()

    sys.unraisablehook = drop


def _interrupt_main(number: signal.Signals) -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)  # it also ends a call of the system
    else:
        _thread.interrupt_main(number)


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

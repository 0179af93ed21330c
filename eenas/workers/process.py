"""A worker as a process of this machine, with its own GPU, threads and log file."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from eenas.errors import MachineError
from eenas.progress import Advanced, Finished, Notice, Started
from eenas.study.interrupts import held_interrupts, repeat_swallowed
from eenas.workers.job import run_job
from eenas.workers.messages import Ended, Message
from eenas.workers.places import WorkerPlace

_SPAWN = multiprocessing.get_context("spawn")
"""CUDA and threads do not survive a fork."""
AGAIN = 1.0
"""The seconds after which a worker that was stopped and has not ended is signalled again.

A signal that reaches a process on its way into a system call is handled there, but does not end that call.
"""


class WorkerProcess:
    """A `RunningWorker` that was started when this object was made. `log` receives its output.

    Raises MachineError if it cannot be started or its log cannot be written.
    """

    def __init__(self, job: bytes, place: WorkerPlace, log: Path) -> None:
        self._ended: Ended | None = None
        self._stopped: float | None = None
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.open("a", encoding="utf-8").close()
        except OSError as error:
            raise MachineError(
                f"{log}: the log of a worker cannot be written ({error.strerror}); make its folder writable"
            ) from None
        self._inbox, outbox = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(target=_main, args=(job, outbox, str(log)), daemon=True)
        try:
            with _environment(place.environment), _without_interrupts():
                self._process.start()
        except OSError as error:
            raise MachineError(f"a worker process cannot be started ({error.strerror}); give fewer --workers") from None
        finally:
            outbox.close()
        self.log = log

    def messages(self) -> list[Message]:
        """See `RunningWorker.messages`. A worker that was stopped and goes on is signalled again."""
        if self._ended is not None:
            return [self._ended]
        found: list[Message] = []
        is_alive = self._process.is_alive()  # asked first: what it sent before its end is in the pipe
        if is_alive and self._stopped is not None and time.monotonic() - self._stopped > AGAIN:
            self.stop()
        with contextlib.suppress(EOFError, OSError):
            while self._ended is None and self._inbox.poll():
                with held_interrupts():  # a message that is half read leaves a stream that nobody can read
                    message = self._inbox.recv()
                    if isinstance(message, Ended):
                        self._ended = message
                found.append(message)
        if self._ended is None and not is_alive:
            self._ended = Ended("died", f"{_end_of(self._process.exitcode)}; {self.log} holds its output")
            found.append(self._ended)
        return found

    def stop(self) -> None:
        """See `RunningWorker.stop`."""
        self.wake()  # first: any thread of a suspended process may get a signal, and only the main one is interrupted
        self._process.terminate()
        self._stopped = time.monotonic()

    def wake(self) -> None:
        """See `RunningWorker.wake`."""
        if self._process.pid is not None and self._process.is_alive():  # else another process may have its number
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """See `RunningWorker.kill`. It returns when the process is gone."""
        self._process.kill()
        self._process.join()
        self._inbox.close()


def _end_of(status: int | None) -> str:
    if status is None or status >= 0:
        return f"its process ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    memory = ", perhaps for lack of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{memory}"


def _main(job: bytes, outbox: Connection, log: str) -> None:
    """Run a worker. Ctrl-C is for the process that started it, which sends SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    repeat_swallowed(_interrupt_again)
    stream = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for number in (1, 2):
        os.dup2(stream, number)
    for each in (sys.stdout, sys.stderr):
        each.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def send(message: Message) -> None:
        _write(message)
        with lock, contextlib.suppress(OSError):  # the process that started it is gone, and its end follows
            outbox.send(message)

    ended = run_job(job, send)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    send(ended)


def _interrupt(number: int, frame: object) -> None:
    """Interrupt the work once: a worker that gives its trial back is not interrupted in this by another `stop`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _interrupt_again(error: BaseException | None) -> signal.Signals:
    signal.signal(signal.SIGTERM, _interrupt)
    return signal.SIGTERM


def _end_with_parent() -> None:
    """End this process as SIGTERM does when the process that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _write(message: Message) -> None:
    """Write a message into the log."""
    match message:
        case Notice(text):
            line = text
        case Started(phase, _):
            line = f"{phase} ..."
        case Advanced(phase, done, detail):
            line = f"{phase}: {done:g}" + (f", {detail}" if detail else "")
        case Finished(phase, detail):
            line = f"{phase}: done" + (f", {detail}" if detail else "")
        case Ended(how, reason):
            line = f"ended: {how}" + (f", {reason}" if reason else "")
        case _:
            return
    with contextlib.suppress(OSError):
        os.write(2, f"{time.strftime('%H:%M:%S')} {line}\n".encode(errors="replace"))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside the block; a process that is started there inherits them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C inside the block, so that a process that is started there ignores it from its first moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)

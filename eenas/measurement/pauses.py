"""Pauses of trials: a worker in a trial pauses while another process on its machine takes a measurement.

A measurement announces itself by a marker file and waits until each worker in a trial has paused. Every such worker
holds a lock on a file of its own, which it releases when it pauses; the lock of a dead process is free.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from eenas.processes import is_running, is_suspended
from eenas.progress import notify

SETTLE = 30.0
"""The seconds that a measurement waits for trials to pause. Then it starts: disturbed runs are rejected."""
LONGEST = 300.0
"""The seconds that a trial pauses for one measurement. Then it continues."""
CHECK = 0.02
"""The least seconds between two looks for a measurement."""
_POLL = 0.01
_LOOK = 0.2
"""The seconds between two looks whether a trial that does not pause is suspended."""


class _Work:
    """The trial of this process: its lock files, and the markers of the measurements that it pauses for."""

    def __init__(self, folder: Path, names: tuple[str, ...], idle: Callable[[], object]) -> None:
        self.idle, self._next = idle, 0.0
        self._places = [(marker_of(folder, name), work_folder(folder, name)) for name in names]
        self._locks = [
            FileLock(place / f"{os.getpid()}.lock", mode=0o666, fallback_to_soft=False) for _, place in self._places
        ]
        self._ignored: dict[Path, int] = {}
        self.thread = threading.get_ident()

    def hold(self) -> None:
        """Tell measurements that this process computes. A folder that cannot be written means no pauses."""
        for lock in self._locks:
            with contextlib.suppress(OSError, Timeout):
                _shared_folder(Path(lock.lock_file).parent)
                lock.acquire(timeout=1.0)

    def free(self) -> None:
        """Tell measurements that this process is still."""
        for lock in self._locks:
            lock.release(force=True)

    def end(self) -> None:
        """Leave no file behind."""
        self.free()
        for lock in self._locks:
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)

    def pause(self) -> float:
        """Wait while a measurement runs, and return the seconds."""
        now = time.monotonic()
        if now < self._next:
            return 0.0
        self.idle()
        announced = [marker for marker, _ in self._places if self._is_announced(marker)]
        if announced:
            self.free()
            try:
                for marker in announced:
                    self._wait(marker, now + LONGEST)
            finally:
                self.hold()
        after = time.monotonic()
        self._next = after + CHECK
        return after - now

    def _is_announced(self, marker: Path) -> bool:
        try:
            return os.stat(marker).st_mtime_ns != self._ignored.get(marker)
        except OSError:
            return False

    def _wait(self, marker: Path, deadline: float) -> None:
        while self._is_announced(marker):
            if not _is_alive(marker):
                with contextlib.suppress(OSError):
                    marker.unlink()
                return
            if time.monotonic() > deadline:
                notify(f"a measurement on this machine takes more than {LONGEST:g} s; the trial continues beside it")
                with contextlib.suppress(OSError):
                    self._ignored[marker] = os.stat(marker).st_mtime_ns
                return
            time.sleep(_POLL)


_silent: set[str] = set()
"""The processes that did not pause for a measurement of this one. It waits for each of them once."""
_work: _Work | None = None
_paused = 0.0


def marker_of(folder: Path, name: str) -> Path:
    """Return the path of the file that announces a measurement on the device `name`."""
    return folder / f"eenas-{name}.measuring"


def work_folder(folder: Path, name: str) -> Path:
    """Return the folder with the lock files of the workers that a measurement on the device `name` disturbs."""
    return folder / f"eenas-{name}.trials"


@contextlib.contextmanager
def pausing(folder: Path, names: tuple[str, ...], idle: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Pause in `pause_point` inside the block while one of the devices `names` is measured.

    `folder` holds the lock files of the machine. `idle` is called at each point, at most every CHECK seconds.
    """
    global _work  # noqa: PLW0603
    before, _work = _work, _Work(folder, names, idle)
    _work.hold()
    try:
        yield
    finally:
        _work.end()
        _work = before


def pause_point() -> None:
    """Wait here while a measurement runs on this machine.

    Loops over batches call this. Outside trials it does nothing.
    """
    global _paused  # noqa: PLW0603
    if _work is not None and _work.thread == threading.get_ident():
        _paused += _work.pause()


def paused_seconds() -> float:
    """Return the seconds that this process has paused so far. Budgets in seconds leave them out."""
    return _paused


@contextlib.contextmanager
def released() -> Iterator[None]:
    """Count as still inside the block: a measurement of this process, or a wait for one, is no trial."""
    if _work is None:
        yield
        return
    work = _work
    work.free()
    try:
        yield
    finally:
        work.hold()


@contextlib.contextmanager
def announced(folder: Path, name: str) -> Iterator[None]:
    """Announce a measurement on the device `name` inside the block, after the trials on this machine have paused."""
    marker = marker_of(folder, name)
    try:
        _shared_folder(folder)
        marker.write_text(str(os.getpid()), encoding="ascii")
    except OSError:  # of another user, or not writable: trials go on, and disturbed runs are rejected
        yield
        return
    try:
        _settle(work_folder(folder, name))
        yield
    finally:
        with contextlib.suppress(OSError):
            marker.unlink()


def _settle(folder: Path) -> None:
    """Wait until no worker holds a lock in `folder`, at most SETTLE seconds. Files of dead workers are removed."""
    deadline = time.monotonic() + SETTLE
    try:
        files = sorted(folder.glob("*.lock"))
    except OSError:
        return
    for file in files:
        if not is_running(file.stem):
            with contextlib.suppress(OSError):
                file.unlink()
            continue
        if file.stem in _silent:
            continue
        lock = FileLock(file, mode=0o666, poll_interval=_POLL, fallback_to_soft=False)
        with contextlib.suppress(OSError):
            if not _paused_by(lock, file.stem, deadline):
                _silent.add(file.stem)
                notify(
                    f"latency is measured beside the trial of process {file.stem}, which did not pause within "
                    f"{SETTLE:g} s"
                )


def _paused_by(lock: FileLock, process: str, deadline: float) -> bool:
    """Wait for the lock of a trial until `deadline`, and return whether the trial is still. A suspended one is."""
    while True:
        try:
            lock.acquire(timeout=min(max(deadline - time.monotonic(), 0.0), _LOOK))
        except Timeout:
            if is_suspended(process):
                return True
            if time.monotonic() >= deadline:
                return False
            continue
        lock.release()
        return True


def _shared_folder(folder: Path) -> None:
    """Make a folder that every user of the machine can write to."""
    for each in (folder.parent, folder):
        with contextlib.suppress(FileExistsError):
            each.mkdir()
            each.chmod(0o777)  # the umask applies to mkdir


def _is_alive(marker: Path) -> bool:
    """Whether the process that announced a measurement runs. An empty marker is just being written."""
    try:
        text = marker.read_text(encoding="ascii")
    except (OSError, ValueError):
        return False
    return not text or is_running(text)

"""The stopwatch: wall time and CPU time of one run, which reveal other load."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from eenas.processes import check_threads

Run = Callable[[], object]

SLACK, SLACK_MS = 1.1, 0.02
"""A run is undisturbed if its wall time is at most this many times its CPU time, plus this many ms."""


@dataclass(frozen=True)
class TimedRun:
    """One timed run: wall time and CPU time in ms (None if not available), and involuntary context switches."""

    wall_ms: float
    cpu_ms: float | None = None
    switches: int = 0

    @property
    def is_disturbed(self) -> bool:
        """Whether the run had to wait for the processor."""
        return self.cpu_ms is not None and self.wall_ms > SLACK * self.cpu_ms + SLACK_MS


class Excluded:
    """Code inside a timed run that does not count. If the run returns this object, its time is subtracted."""

    def __init__(self, threads: int = 1) -> None:
        self._cpu = time.thread_time_ns if threads == 1 else time.process_time_ns
        self.wall_ns = self.cpu_ns = 0

    def reset(self) -> None:
        """Set the time to subtract to 0."""
        self.wall_ns = self.cpu_ns = 0

    def __call__(self, run: Run) -> None:
        """Run `run`, and add its time to the time to subtract."""
        cpu, start = self._cpu(), time.perf_counter_ns()
        run()
        self.wall_ns += time.perf_counter_ns() - start
        self.cpu_ns += self._cpu() - cpu


class Stopwatch:
    """Times runs on `device` with the method of its kind.

    CUDA: events around the run and a synchronisation; MPS: the counter between synchronisations; CPU: the counter.
    `host_clock` uses the counter on CUDA too, for work of the host. The CPU time is that of the thread if one thread
    works, else of the process. It is taken only on CPUs (with other devices the host sleeps) and with a fine clock.
    """

    def __init__(self, device: torch.device, threads: int, *, host_clock: bool = False) -> None:
        self._device = device
        self._by_events = device.type == "cuda" and not host_clock
        self._synchronise = _synchroniser(device)
        clock = "thread_time" if threads == 1 else "process_time"
        self._has_cpu = device.type == "cpu" and time.get_clock_info(clock).resolution < 1e-5  # type: ignore[arg-type]
        self._one_thread = threads == 1
        self.counts_cpu = self._has_cpu and threads == 1

    def time(self, run: Run) -> TimedRun:
        """Time one run."""
        if self._by_events:
            return TimedRun(_cuda_ms(run, self._device))
        switches = switch_count()
        self._synchronise()
        cpu, start = self._cpu(), time.perf_counter_ns()
        excluded = run()
        self._synchronise()
        wall, used = time.perf_counter_ns() - start, self._cpu() - cpu
        if isinstance(excluded, Excluded):
            wall, used = wall - excluded.wall_ns, used - excluded.cpu_ns
        return TimedRun(wall / 1e6, used / 1e6 if self._has_cpu else None, switch_count() - switches)

    def _cpu(self) -> int:
        if not self._has_cpu:
            return 0
        return time.thread_time_ns() if self._one_thread else time.process_time_ns()


def switch_count() -> int:
    """Return the number of involuntary context switches of this thread so far, 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


@contextlib.contextmanager
def restored_threads() -> Iterator[None]:
    """Restore torch's number of threads after the block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads inside the block."""
    with restored_threads():
        torch.set_num_threads(check_threads(count))
        yield


def _cuda_ms(run: Run, device: torch.device) -> float:
    with torch.cuda.device(device):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
        before.record()
        run()
        after.record()
        torch.cuda.synchronize(device)
        milliseconds: float = before.elapsed_time(after)
    return milliseconds


def _synchroniser(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None

"""The stopwatch: one run on the wall's clock, with what the processor's own clocks know of other load."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from eenas.threads import check_threads

Run = Callable[[], object]

SLACK, SLACK_MS = 1.1, 0.02
"""A run is undisturbed whose wall time is at most so many times its CPU time, and so much longer."""


@dataclass(frozen=True)
class Sample:
    """One timed run: wall time and CPU time in milliseconds (None where it says nothing) and involuntary switches."""

    wall_ms: float
    cpu_ms: float | None = None
    switches: int = 0

    @property
    def is_disturbed(self) -> bool:
        """Whether the run had to wait for the processor."""
        return self.cpu_ms is not None and self.wall_ms > SLACK * self.cpu_ms + SLACK_MS


class Apart:
    """What runs within a timed run and does not count; a run that gives it back has its time taken off."""

    def __init__(self, threads: int = 1) -> None:
        self._cpu = time.thread_time_ns if threads == 1 else time.process_time_ns
        self.wall_ns = self.cpu_ns = 0

    def reset(self) -> None:
        """Nothing is taken off."""
        self.wall_ns = self.cpu_ns = 0

    def __call__(self, run: Run) -> None:
        """Run it apart."""
        cpu, start = self._cpu(), time.perf_counter_ns()
        run()
        self.wall_ns += time.perf_counter_ns() - start
        self.cpu_ns += self._cpu() - cpu


class Stopwatch:
    """Times runs on `device` by the rule of its kind.

    CUDA: events around the run and a synchronisation; MPS: the counter between synchronisations; CPU: the counter.
    `host_clock` takes the counter on CUDA too, for what the host waits for. CPU time is the thread's where one thread
    works, else the process's; it is taken on CPUs only (elsewhere the host sleeps) and where its clock is fine enough.
    """

    def __init__(self, device: torch.device, threads: int, *, host_clock: bool = False) -> None:
        self._device = device
        self._by_events = device.type == "cuda" and not host_clock
        self._synchronise = _synchroniser(device)
        clock = "thread_time" if threads == 1 else "process_time"
        self._has_cpu = device.type == "cpu" and time.get_clock_info(clock).resolution < 1e-5  # type: ignore[arg-type]
        self._one_thread = threads == 1
        self.counts_cpu = self._has_cpu and threads == 1

    def time(self, run: Run) -> Sample:
        """Run once."""
        if self._by_events:
            return Sample(_cuda_ms(run, self._device))
        switches = switch_count()
        self._synchronise()
        cpu, start = self._cpu(), time.perf_counter_ns()
        apart = run()
        self._synchronise()
        wall, used = time.perf_counter_ns() - start, self._cpu() - cpu
        if isinstance(apart, Apart):
            wall, used = wall - apart.wall_ns, used - apart.cpu_ns
        return Sample(wall / 1e6, used / 1e6 if self._has_cpu else None, switch_count() - switches)

    def _cpu(self) -> int:
        if not self._has_cpu:
            return 0
        return time.thread_time_ns() if self._one_thread else time.process_time_ns()


def switch_count() -> int:
    """How often this thread had to give its processor to others so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


@contextlib.contextmanager
def kept_threads() -> Iterator[None]:
    """Torch has as many threads after the block as before it, whatever was opened inside."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def working_threads(count: int) -> Iterator[None]:
    """So many threads of torch inside the block."""
    with kept_threads():
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

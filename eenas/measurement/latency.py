"""Latency: how long something takes on a device, with its spread and the conditions it was taken under."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from eenas.errors import MeasurementError, SpecError
from eenas.measurement.device_lock import device_lock
from eenas.measurement.devices import device_name, resolve_device

__all__ = [
    "Latency",
    "LatencySpec",
    "device_name",
    "measure_difference",
    "measure_latency",
    "place_of",
    "resolve_device",
    "summarise",
    "torch_runtime",
]

LEAST_REPEATS = 3
"""How often a run is timed even when the first one has used the time up."""


@dataclass(frozen=True, kw_only=True)
class LatencySpec:
    """How latency is measured.

    `batch` samples at once; `threads` of the host (default 1); `warmup` runs before the first that counts; then between
    `min_repeats` and `max_repeats` timed runs, until their spread (interquartile range over median) is at most
    `spread`. `seconds` bounds the whole, except that one run warms up and three are timed in any case. `dtype` is that
    of autocast, or float32 for none. `runtime` is what runs the programs: torch, or onnxruntime with the programs that
    are exported.
    """

    runtime: Literal["torch", "onnxruntime"] = "torch"
    batch: int = 1
    threads: int | None = None
    warmup: int = 10
    min_repeats: int = 20
    max_repeats: int = 200
    spread: float = 0.05
    seconds: float = 1.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse counts and limits that no measurement can have."""
        for name, least in (("batch", 1), ("warmup", 0), ("min_repeats", 1)):
            if getattr(self, name) < least:
                raise SpecError(f"latency: {name} must be at least {least}, got {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise SpecError(f"latency: threads must be at least 1, got {self.threads}")
        if self.max_repeats < self.min_repeats:
            raise SpecError(
                f"latency: max_repeats must be at least min_repeats ({self.min_repeats}), got {self.max_repeats}"
            )
        if not (self.spread > 0 and self.seconds > 0):
            raise SpecError(
                f"latency: spread and seconds must be positive, got {self.spread} and {self.seconds}; "
                "a larger spread ends sooner"
            )
        if self.runtime == "onnxruntime" and self.dtype != "float32":
            raise SpecError(
                f"latency: the runtime 'onnxruntime' runs float32 programs, got dtype {self.dtype!r}; "
                "set latency.dtype to 'float32', or latency.runtime to 'torch'"
            )


@dataclass(frozen=True, kw_only=True)
class Latency:
    """A measured latency in milliseconds, for a whole batch.

    `median_ms` and `p95_ms` over `repeats` runs; `spread` is their interquartile range over their median; `device`
    and `runtime` by their full names; `threads` of the host.
    """

    median_ms: float
    p95_ms: float
    spread: float
    repeats: int
    device: str
    runtime: str
    threads: int
    batch: int
    dtype: str

    @property
    def conditions(self) -> str:
        """How it was taken, in one line."""
        threads = f"{self.threads} {'thread' if self.threads == 1 else 'threads'}"
        return f"{self.device}, {threads}, batch {self.batch}, {self.dtype}, {self.runtime}"

    def to_table(self) -> dict[str, Any]:
        """Every field as JSON data; `from_table` is the inverse."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "Latency":
        """Read what `to_table` wrote. Raises MeasurementError for anything else."""
        try:
            return cls(**table)
        except TypeError as error:
            where = " ".join(part for part in (file, key) if part) or "a latency"
            raise MeasurementError(f"{where}: not a measured latency ({error}); measure again") from None


def place_of(latency: Latency) -> str:
    """Where a latency was taken, in few words: the device, with the runtime where that is not torch."""
    name = latency.runtime.partition(",")[0]
    return latency.device if name.startswith("torch ") else f"{latency.device} in {name}"


def torch_runtime(what: str = "eager") -> str:
    """The name of torch as a runtime, with its version and what it ran."""
    return f"torch {torch.__version__}, {what}"


def measure_latency(
    run: Callable[[], object],
    *,
    device: torch.device,
    spec: LatencySpec,
    runtime: str | None = None,
    host_clock: bool = False,
    before: Callable[[], object] | None = None,
) -> Latency:
    """Time `run` on `device`, alone on it (a lock), by the rule of its kind.

    CUDA: events around the run and a synchronisation; MPS: the counter between synchronisations; CPU: the counter, with
    `spec.threads` threads, which are put back. `host_clock` takes the counter on CUDA too, for what the host waits for.
    `before` is run before each run and not timed. `run` has the batch and type that `spec` says; nothing here can check
    it. What `run` raises is not caught.
    """
    threads = spec.threads or 1
    timed = _timer(run, device, host_clock=host_clock, before=before)
    with device_lock(device), _threads(threads):
        start = time.perf_counter()
        for done in range(max(spec.warmup, 1)):
            if done and time.perf_counter() - start > spec.seconds / 2:
                break
            timed()
        times: list[float] = []
        while not _enough(times, spec, time.perf_counter() - start):
            times.append(timed())
    median, p95, spread = summarise(times)
    return Latency(
        median_ms=median,
        p95_ms=p95,
        spread=spread,
        repeats=len(times),
        device=device_name(device),
        runtime=runtime or torch_runtime(),
        threads=threads,
        batch=spec.batch,
        dtype=spec.dtype,
    )


def measure_difference(
    run: Callable[[], object], other: Callable[[], object], *, device: torch.device, spec: LatencySpec
) -> float:
    """How many milliseconds `run` takes more than `other`: the difference of medians, both timed in turns.

    What slows the machine down for a while then slows both. The host's counter is taken on every device; repeats and
    limits are those of `measure_latency`, for the two together. Negative where `other` takes longer.
    """
    timed = [_timer(each, device, host_clock=True) for each in (run, other)]
    with device_lock(device), _threads(spec.threads or 1):
        start = time.perf_counter()
        for _ in range(3):
            for each in timed:
                each()
        times: tuple[list[float], list[float]] = ([], [])
        while not _enough(times[0], spec, time.perf_counter() - start):
            for each, kept in zip(timed, times, strict=True):
                kept.append(each())
    return statistics.median(times[0]) - statistics.median(times[1])


def summarise(times: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile and spread (interquartile range over median) of one or more positive times."""
    if len(times) == 1:
        return times[0], times[0], 0.0
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    median = statistics.median(times)
    return median, cuts[18], (cuts[14] - cuts[4]) / median if median > 0 else 0.0


def _enough(times: Sequence[float], spec: LatencySpec, seconds: float) -> bool:
    """Whether to stop: the time or the repeats are used up, or the spread (looked at every fifth time) is small."""
    count = len(times)
    if count < min(LEAST_REPEATS, spec.max_repeats):
        return False
    if count >= spec.max_repeats or seconds >= spec.seconds:
        return True
    return count >= spec.min_repeats and (count - spec.min_repeats) % 5 == 0 and summarise(times)[2] <= spec.spread


def _timer(
    run: Callable[[], object], device: torch.device, *, host_clock: bool, before: Callable[[], object] | None = None
) -> Callable[[], float]:
    """A function that runs once and gives the milliseconds."""
    first = before or (lambda: None)

    def on_cuda() -> float:
        first()
        return _cuda_ms(run, device)

    if device.type == "cuda" and not host_clock:
        return on_cuda
    synchronise = _synchroniser(device)

    def counted() -> float:
        first()
        synchronise()
        start = time.perf_counter_ns()
        run()
        synchronise()
        return (time.perf_counter_ns() - start) / 1e6

    return counted


def _cuda_ms(run: Callable[[], object], device: torch.device) -> float:
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


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

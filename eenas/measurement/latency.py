"""Latency: the time of a program on a device, with its spread and conditions."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch

from eenas.bounds import located
from eenas.errors import MeasurementError, SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.devices import device_name, resolve_device
from eenas.plugins import is_reference
from eenas.processes import MOST_THREADS
from eenas.specs import read_fields

__all__ = [
    "Latency",
    "LatencySpec",
    "device_name",
    "place_of",
    "resolve_device",
    "summarise",
    "torch_runtime",
]


_MOST = 1e300
"""The largest number of a measured latency."""
RUNTIMES = ("auto", "torch", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class LatencySpec:
    """The settings of latency measurements. Raises SpecError for values out of range.

    On a machine with too few undisturbed runs, the limits of time are three times as large.
    """

    runtime: str = "auto"
    """What runs the programs: "torch" (the network itself, eager), "onnxruntime" (the exported programs), "auto"
    (onnxruntime on a CPU if installed, else torch), or your own as `./file.py:name`."""
    batch: int = 1
    """Samples per run."""
    threads: int | None = None
    """Threads of the host; by default 1."""
    warmup: int = 10
    """Runs before the first timed one."""
    min_repeats: int = 20
    """Smallest number of timed runs."""
    max_repeats: int = 200
    """Largest number of timed runs."""
    spread: float = 0.05
    """Timed runs end when their interquartile range is at most this share of their median."""
    seconds: float = 1.0
    """Time limit of each part, except for the first warm-up run and three timed runs."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Data type of autocast; float32: none."""

    def __post_init__(self) -> None:
        """Check runtime, counts and limits."""
        if self.runtime not in RUNTIMES and not is_reference(self.runtime):
            near = nearest(self.runtime, RUNTIMES)
            raise SpecError(f"latency: unknown runtime {shortened(self.runtime)}; {near}")
        for name, least in (("batch", 1), ("warmup", 0), ("min_repeats", 1)):
            if getattr(self, name) < least:
                raise SpecError(f"latency: {name} must be at least {least}, got {getattr(self, name)}")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise SpecError(f"latency: threads must be from 1 to {MOST_THREADS:,}, got {self.threads}")
        if self.max_repeats < self.min_repeats:
            raise SpecError(
                f"latency: max_repeats must be at least min_repeats ({self.min_repeats}), got {self.max_repeats}"
            )
        if not (self.spread > 0 and self.seconds > 0):
            raise SpecError(
                f"latency: spread and seconds must be positive, got {self.spread} and {self.seconds}; "
                "a larger spread ends measurements sooner"
            )
        if self.runtime == "onnxruntime" and self.dtype != "float32":
            raise SpecError(
                f"latency: the runtime 'onnxruntime' supports only float32, got dtype {self.dtype!r}; "
                "set latency.dtype to 'float32', or latency.runtime to 'torch'"
            )


@dataclass(frozen=True, kw_only=True)
class Latency:
    """A measured latency in milliseconds, for a whole batch.

    `median_ms` and `p95_ms` are over `repeats` runs, and `spread` is their interquartile range over their median.
    `device` and `runtime` are full names; `threads` counts host threads. `low_ms` and `high_ms` are the quartiles, and
    `rejected` is the number of runs excluded because of other load. `doubtful` means that too few runs were left, or
    that the latency contradicts its neighbours; rely on the interval then, not on the median. `reference_ms` is the
    time of the plain backbone in the same rounds (None: not timed). `node` is the machine that measured it.
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
    low_ms: float | None = None
    high_ms: float | None = None
    rejected: int = 0
    doubtful: bool = False
    reference_ms: float | None = None
    node: str = ""

    @property
    def interval(self) -> str:
        """The interval from `low_ms` to `high_ms`, such as "1.2 to 3.4 ms"."""
        low, high = (self.median_ms if each is None else each for each in (self.low_ms, self.high_ms))
        return f"{low:.3g} to {high:.3g} ms"

    @property
    def conditions(self) -> str:
        """The conditions of the measurement, in one line."""
        threads = f"{self.threads} {'thread' if self.threads == 1 else 'threads'}"
        return f"{self.device}, {threads}, batch {self.batch}, {self.dtype}, {self.runtime}"

    def to_table(self) -> dict[str, Any]:
        """Return every field as JSON data; `from_table` is the inverse. Earlier versions did not record the node."""
        table = asdict(self)
        if not self.node:
            del table["node"]
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "Latency":
        """Read the result of `to_table`. Raises MeasurementError for anything else."""
        try:
            found = read_fields(cls, table, file=file, key=key)
        except SpecError as error:
            raise MeasurementError(f"not a measured latency: {error}; measure it again") from None
        numbers = [(each.name, getattr(found, each.name)) for each in fields(cls)]
        for name, value in numbers:
            if isinstance(value, int | float) and not 0 <= value <= _MOST:
                where = located(file, key) or "a latency"
                raise MeasurementError(f"{where}: not a measured latency: {name} is {value}; measure it again")
        return found


def place_of(latency: Latency) -> str:
    """Return the device and the runtime of a latency, in a few words."""
    name = latency.runtime.partition(",")[0]
    return f"{latency.device} in {'eager torch' if name.startswith('torch ') else name}"


def torch_runtime(what: str = "eager") -> str:
    """Return the name of torch as a runtime: its version and `what` it ran."""
    return f"torch {torch.__version__}, {what}"


def summarise(times: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile and spread (interquartile range over median) of one or more positive times."""
    if len(times) == 1:
        return times[0], times[0], 0.0
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    median = statistics.median(times)
    return median, cuts[18], (cuts[14] - cuts[4]) / median if median > 0 else 0.0

"""Latency: how long something takes on a device, with its spread and the conditions it was taken under."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

import torch

from eenas.errors import MeasurementError, SpecError, nearest
from eenas.escaping import shortened
from eenas.measurement.devices import device_name, resolve_device
from eenas.plugins import is_reference
from eenas.threads import MOST_THREADS

__all__ = [
    "Latency",
    "LatencySpec",
    "device_name",
    "place_of",
    "resolve_device",
    "summarise",
    "torch_runtime",
]


RUNTIMES = ("auto", "torch", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class LatencySpec:
    """How latency is measured.

    `batch` samples at once; `threads` of the host (default 1); `warmup` runs before the first that counts; then between
    `min_repeats` and `max_repeats` timed runs, until their spread (interquartile range over median) is at most
    `spread`. `seconds` bounds each part that is timed, except that one run warms up and three are timed in any case,
    and that a machine on which too few runs are undisturbed has three times these limits. `dtype` is that
    of autocast, or float32 for none. `runtime` is what runs the programs: torch (the network itself, eager),
    onnxruntime (the programs that are exported), "auto" (onnxruntime on a CPU where it is installed, else torch), or
    the user's own as `./file.py:name`.
    """

    runtime: str = "auto"
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
    and `runtime` by their full names; `threads` of the host. `low_ms` to `high_ms` are the quartiles, and `rejected`
    the runs that did not count, since other load disturbed them. With `doubtful` too few were left, or it contradicts
    its neighbours: the interval says more than the median then. `reference_ms` is what the plain backbone took in
    the same rounds (None: it did not run along).
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

    @property
    def interval(self) -> str:
        """The interval that it lies in, such as "1.2 to 3.4 ms"."""
        low, high = (self.median_ms if each is None else each for each in (self.low_ms, self.high_ms))
        return f"{low:.3g} to {high:.3g} ms"

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
        kinds = {field.name: field.type for field in fields(cls)}
        given = dict(table) if isinstance(table, Mapping) else {"": table}
        wrong = [name for name, value in given.items() if not _is_of(value, kinds.get(name))]
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if bad := [*wrong, *(name for name in needed if name not in given)]:
            where = " ".join(part for part in (file, key) if part) or "a latency"
            raise MeasurementError(f"{where}: not a measured latency (see {bad[0][:40]!r}); measure again")
        return cls(**given)


def place_of(latency: Latency) -> str:
    """Where a latency was taken, in few words: the device and the runtime."""
    name = latency.runtime.partition(",")[0]
    return f"{latency.device} in {'eager torch' if name.startswith('torch ') else name}"


def torch_runtime(what: str = "eager") -> str:
    """The name of torch as a runtime, with its version and what it ran."""
    return f"torch {torch.__version__}, {what}"


def summarise(times: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile and spread (interquartile range over median) of one or more positive times."""
    if len(times) == 1:
        return times[0], times[0], 0.0
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    median = statistics.median(times)
    return median, cuts[18], (cuts[14] - cuts[4]) / median if median > 0 else 0.0


def _is_of(value: Any, kind: object) -> bool:
    """Whether a value from a file is of the kind of a field of `Latency`; numbers are finite and from 0 up."""
    if kind in (str, bool):
        return type(value) is kind
    if value is None:
        return kind == float | None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return kind is not None and (whole or (kind is not int and isinstance(value, float))) and bool(0 <= value <= 1e300)

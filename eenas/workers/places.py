"""The places of workers on this machine: the GPU and the threads of each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eenas.errors import DeviceError

MOST_WORKERS = 1024
"""The largest number of workers that one command starts."""
WORKER_BYTES = 256 << 20
"""The memory that a worker holds alone, in bytes, before it has read a network or data."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""The variables that limit the threads of numeric libraries. The first one is that of torch."""


@dataclass(frozen=True)
class WorkerPlace:
    """The resources of one worker: the GPU that it sees (None: as this process), and its number of threads."""

    gpu: str | None
    threads: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the worker. A number of threads that the user has set is kept."""
        found = {name: str(self.threads) for name in THREADS if not os.environ.get(name)}
        return found if self.gpu is None else {**found, VISIBLE: self.gpu}


def core_count() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def free_memory(table: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that new processes can take, by the table of Linux, or None where there is none."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    kilobytes = [words[1] for line in lines if (words := line.split())[:1] == ["MemAvailable:"] and len(words) > 1]
    return int(kilobytes[0]) * 1024 if kilobytes and kilobytes[0].isdigit() else None


def gpus(device: str, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that a search on `device` may use, as CUDA_VISIBLE_DEVICES names them.

    They are empty unless the device is "auto" or "cuda": a single GPU and a CPU are not divided.
    """
    import torch  # slow, and the command line reads this module at its start

    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return ()
    count = torch.cuda.device_count()
    named = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    return tuple(named[:count]) if len(named) >= count else tuple(str(index) for index in range(count))


def places(workers: int | None, device: str) -> tuple[WorkerPlace, ...]:
    """Return the place of each of `workers` workers, by default one for each GPU, else one.

    Workers take turns with the GPUs and share the cores evenly. Raises DeviceError for a number out of range, and for
    more workers than the free memory can hold.
    """
    found = gpus(device)
    count = max(len(found), 1) if workers is None else workers
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_WORKERS:
        raise DeviceError(
            f"workers must be a whole number from 1 to {MOST_WORKERS}, got {count!r:.60}; leave it out for one per GPU"
        )
    free = free_memory()
    if free is not None and count > 1 and count * WORKER_BYTES > free:
        raise DeviceError(
            f"{count} workers need at least {count * WORKER_BYTES / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} "
            f"GiB are free on this machine; give at most --workers {max(free // WORKER_BYTES, 1)}, or use more machines"
        )
    threads = max(core_count() // count, 1)
    return tuple(WorkerPlace(found[index % len(found)] if found else None, threads) for index in range(count))


def sharing(chosen: tuple[WorkerPlace, ...], device: str) -> str:
    """Return a sentence on what the workers share."""
    count, cores, found = len(chosen), core_count(), len(gpus(device))
    own = os.environ.get(THREADS[0])
    each = f"{THREADS[0]}={own} is kept" if own else f"{_threads(chosen[0].threads)} each"
    if found >= count:
        return f"{count} workers, each with a GPU of its own; {each}"
    if found:
        return f"{count} workers share {found} GPU{'s' * (found > 1)}: their memory is divided, and trials take longer"
    text = f"{count} workers share {cores} core{'s' * (cores > 1)}: {each}, where one worker has {cores}"
    beyond = "; more workers than cores make every trial slower" if count > cores else ""
    return f"{text}{beyond}; latency is measured alone, and the other trials pause meanwhile"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"

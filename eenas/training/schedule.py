"""The progress of a budget, and the learning rate schedule."""

import math
import time

from eenas.measurement.pauses import paused_seconds
from eenas.training.spec import TrainingSpec


def rate_at(progress: float, warmup: float) -> float:
    """Return the factor of the learning rate at `progress` in [0, 1].

    It rises linearly over `warmup`, then falls along a cosine to zero. Loshchilov and Hutter 2017, "SGDR", equation 5
    without restarts; warm-up as in Goyal et al. 2017.
    """
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def samples_of(spec: TrainingSpec, train_size: int) -> int | None:
    """Return the number of samples that a training uses, or None for a budget in seconds."""
    size = spec.batch_for(train_size)
    wanted = spec.samples if spec.samples is not None else (spec.epochs or 0.0) * (train_size // size * size)
    return None if spec.seconds is not None else math.ceil(wanted / size - 1e-9) * size


_STARTED = 0.99
"""The progress of a part whose seconds are over before its first batch."""


class BudgetClock:
    """A counter of samples and seconds for a part of a TrainingSpec's budget, which can be resumed.

    `part` is the interval of the budget as shares. `owed`, in samples or seconds, is the overrun of earlier parts,
    since a batch is never cut. Every part has at least one batch.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        train_size: int,
        *,
        part: tuple[float, float] = (0.0, 1.0),
        owed: float = 0.0,
        samples: int = 0,
        seconds: float = 0.0,
    ) -> None:
        self._by_time = spec.seconds is not None
        if spec.seconds is not None:
            self._total = (part[1] - part[0]) * spec.seconds - owed
        else:
            whole = spec.samples or max(1, round((spec.epochs or 0.0) * train_size))
            self._total = max(1.0, round(part[1] * whole) - round(part[0] * whole) - owed)
        self.resume(samples, seconds)

    def resume(self, samples: int, seconds: float) -> None:
        """Continue from these samples and seconds of the part. The time runs from now."""
        self.samples = samples
        self._before, self._start = seconds, _now()

    @property
    def seconds(self) -> float:
        """The wall time used in this part, without pauses for measurements of other processes."""
        return self._before + _now() - self._start

    @property
    def progress(self) -> float:
        """The used share of this part of the budget, in [0, 1]."""
        most = 1.0 if self.samples or self._used == 0 else _STARTED
        return min(most, self._used / self._total) if self._total > 0 else float(self.samples > 0)

    @property
    def over(self) -> float:
        """The overrun of this part of the budget, in samples or seconds; 0 before its end."""
        return max(0.0, self._used - self._total)

    @property
    def _used(self) -> float:
        return self.seconds if self._by_time else self.samples


def _now() -> float:
    return time.monotonic() - paused_seconds()

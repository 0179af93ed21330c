"""How far a budget is used up, and the learning rate that belongs to it."""

import math
import time

from eenas.training.spec import TrainingSpec


def rate_at(progress: float, warmup: float) -> float:
    """The factor of the learning rate at `progress` in [0, 1]: a linear rise over `warmup`, then a cosine to zero.

    Loshchilov and Hutter 2017, "SGDR", equation 5 without restarts; warm-up as in Goyal et al. 2017.
    """
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def samples_of(spec: TrainingSpec, train_size: int) -> int | None:
    """How many samples a training sees, as far as it is known before: not for a budget in seconds."""
    size = spec.batch_for(train_size)
    wanted = spec.samples if spec.samples is not None else (spec.epochs or 0.0) * (train_size // size * size)
    return None if spec.seconds is not None else math.ceil(wanted / size - 1e-9) * size


_BEGUN = 0.99
"""The progress of a part whose seconds are over before its first batch."""


class BudgetClock:
    """Counts samples and seconds against a part of a TrainingSpec's one budget; a resumed run goes on where it stopped.

    `part` are the shares of the budget at which this part begins and ends; `owed`, in samples or seconds, is what
    earlier parts used beyond theirs, since a batch is never cut. Every part has one batch at least.
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
        """Go on from so many samples and seconds in this part; the time runs from now."""
        self.samples = samples
        self._before, self._start = seconds, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time spent on this part so far."""
        return self._before + time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """The share of this part of the budget that is used up, in [0, 1]."""
        most = 1.0 if self.samples or self._used == 0 else _BEGUN
        return min(most, self._used / self._total) if self._total > 0 else float(self.samples > 0)

    @property
    def over(self) -> float:
        """What was used beyond this part of the budget, in samples or seconds; 0 before its end."""
        return max(0.0, self._used - self._total)

    @property
    def _used(self) -> float:
        return self.seconds if self._by_time else self.samples

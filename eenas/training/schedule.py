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


class BudgetClock:
    """Counts samples and seconds against a TrainingSpec's one budget; a resumed run goes on where it stopped."""

    def __init__(self, spec: TrainingSpec, train_size: int, *, samples: int = 0, seconds: float = 0.0) -> None:
        self._total: int | None = None
        if spec.samples is not None:
            self._total = spec.samples
        elif spec.epochs is not None:
            self._total = max(1, round(spec.epochs * train_size))
        self._limit = spec.seconds
        self.samples = samples
        self._before, self._start = seconds, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time spent so far."""
        return self._before + time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """The share of the budget that is used up, in [0, 1]."""
        if self._total is not None:
            return min(1.0, self.samples / self._total)
        assert self._limit is not None
        return min(1.0, self.seconds / self._limit)

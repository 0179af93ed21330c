"""How long and with which batches to train; what a study does not draw."""

from dataclasses import dataclass, replace
from typing import Literal

from eenas.errors import SpecError

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """A budget and the fixed part of training. Exactly one of `epochs`, `samples` and `seconds` is the budget.

    `epochs` may be a fraction (0.5 is half a pass). `warmup` is the share of the budget in which the learning rate
    rises linearly; it then falls along a cosine to zero (Loshchilov and Hutter 2017). `precision`, `channels_last` and
    `small_maps` (convolutions on maps of at most four positions as matrix products, which the libraries of some CPUs
    compute many times faster) are measured once per device where they say "auto". `clip` bounds the norm of the
    gradient (0: not). The batch of "auto" is 128, halved until an epoch has 32 steps, down to 16.
    """

    epochs: float | None = None
    samples: int | None = None
    seconds: float | None = None
    batch_size: int | Literal["auto"] = "auto"
    warmup: float = 0.1
    augment: bool = True
    precision: Precision = "auto"
    channels_last: bool | Literal["auto"] = "auto"
    small_maps: bool | Literal["auto"] = "auto"
    clip: float = 5.0

    def __post_init__(self) -> None:
        """Refuse a budget that is missing, doubled or not positive."""
        given = {name: value for name in ("epochs", "samples", "seconds") if (value := getattr(self, name)) is not None}
        if len(given) != 1:
            raise SpecError(f"exactly one of epochs, samples and seconds must be set, got {given or 'none'}")
        name, value = next(iter(given.items()))
        if value <= 0:
            raise SpecError(f"{name} must be positive, got {value}")
        if self.batch_size != "auto" and self.batch_size < 2:
            raise SpecError(f"batch_size must be at least 2 (batch normalisation), got {self.batch_size}")
        if not 0 <= self.warmup < 1:
            raise SpecError(f"warmup is a share of the budget in [0, 1), got {self.warmup}")
        if self.clip < 0:
            raise SpecError(f"clip must not be negative, got {self.clip}")

    def to_key(self) -> "TrainingSpec":
        """The same with whole budgets as floats, as a study that is read back has them; for what is kept under it."""
        epochs, seconds = (None if value is None else float(value) for value in (self.epochs, self.seconds))
        return replace(self, epochs=epochs, seconds=seconds)

    def batch_for(self, samples: int) -> int:
        """The batch size for `samples` training samples."""
        if self.batch_size != "auto":
            return min(self.batch_size, samples)
        size = 128
        while size > 16 and samples < 32 * size:
            size //= 2
        return min(size, samples)

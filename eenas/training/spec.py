"""The budget and the fixed settings of training, which a study does not draw."""

from dataclasses import dataclass, replace
from typing import Literal

from eenas.errors import SpecError

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Sharding = Literal["auto", "none", "fsdp"]


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """A budget and the fixed part of training. Exactly one of `epochs`, `samples` and `seconds` is the budget.

    The learning rate falls along a cosine to zero after the warm-up (Loshchilov and Hutter 2017).
    """

    epochs: float | None = None
    """Budget in passes over the training samples; may be a fraction (0.5 is half a pass)."""
    samples: int | None = None
    """Budget in training samples."""
    seconds: float | None = None
    """Budget in seconds."""
    batch_size: int | Literal["auto"] = "auto"
    """Samples per step of all processes. "auto" is 128, halved until an epoch has 32 steps, but at least 16."""
    warmup: float = 0.1
    """Share of the budget in which the learning rate rises linearly."""
    augment: bool = True
    """Whether training samples are augmented."""
    precision: Precision = "auto"
    """Data type of autocast. "auto" is chosen by a measurement, once per device."""
    channels_last: bool | Literal["auto"] = "auto"
    """Whether tensors have their channels last in memory. "auto" is chosen by a measurement, once per device."""
    small_maps: bool | Literal["auto"] = "auto"
    """Whether convolutions on maps of at most four positions run as matrix products, which is much faster on some CPUs.
    "auto" is chosen by a measurement, once per device."""
    clip: float = 5.0
    """Largest norm of the gradient; 0: no clipping."""
    micro_batch_size: int | None = None
    """Most samples that go through the network at once in a process; the gradients of these micro-batches are summed.
    None: each process takes its share at once."""
    sharding: Sharding | None = None
    """With several processes: "fsdp" divides weights, gradients and optimiser state over them, "none" keeps them whole,
    and "auto" (None) divides them if they do not fit a device."""
    compile: bool | Literal["auto"] | None = None
    """Whether `torch.compile` compiles the passes of training steps. "auto" measures it before each phase, and compiles
    if the phase gets faster, compilation included. None: false."""

    def __post_init__(self) -> None:
        """Raise SpecError unless exactly one positive budget is given and the other values are in range."""
        given = {name: value for name in ("epochs", "samples", "seconds") if (value := getattr(self, name)) is not None}
        if len(given) != 1:
            raise SpecError(f"exactly one of epochs, samples and seconds must be given, got {given or 'none'}")
        name, value = next(iter(given.items()))
        if value <= 0:
            raise SpecError(f"{name} must be positive, got {value}")
        if self.batch_size != "auto" and self.batch_size < 2:
            raise SpecError(f"batch_size must be at least 2 (batch normalisation), got {self.batch_size}")
        if self.micro_batch_size is not None and self.micro_batch_size < 2:
            raise SpecError(f"micro_batch_size must be at least 2 (batch normalisation), got {self.micro_batch_size}")
        if not 0 <= self.warmup < 1:
            raise SpecError(f"warmup must be a share of the budget in [0, 1), got {self.warmup}")
        if self.clip < 0:
            raise SpecError(f"clip must not be negative, got {self.clip}")

    def to_key(self) -> "TrainingSpec":
        """Return the same spec with float budgets, as in a stored study, for the keys of stored results."""
        epochs, seconds = (None if value is None else float(value) for value in (self.epochs, self.seconds))
        return replace(self, epochs=epochs, seconds=seconds)

    def batch_for(self, samples: int) -> int:
        """Return the batch size for `samples` training samples."""
        if self.batch_size != "auto":
            return min(self.batch_size, samples)
        size = 128
        while size > 16 and samples < 32 * size:
            size //= 2
        return min(size, samples)

"""Memory format, precision and treatment of small maps, chosen by a short measurement on the device."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from eenas.backbones.copies import copy_of
from eenas.backbones.cut_points import first_line
from eenas.backbones.memory_format import INFERENCE, PLAIN, laid, lay_out
from eenas.backbones.outputs import main_output
from eenas.errors import OutOfMemoryError, TrainingError
from eenas.faults import raise_shortage
from eenas.measurement.profile import MeasurementCache
from eenas.training.memory import memory_errors
from eenas.training.small_maps import SmallMaps, has_small_maps
from eenas.training.spec import TrainingSpec

GAIN = 1.1
"""The speed-up over the plain format from which another one is used."""


@dataclass(frozen=True)
class Execution:
    """The execution of training steps.

    `channels_last` is the memory format of images, `autocast` its type (None: float32), and with `small_maps`,
    convolutions on small maps are computed as matrix products (`SmallMaps`).
    """

    channels_last: bool = False
    autocast: torch.dtype | None = None
    small_maps: bool = False

    def within(self, memory_format: torch.memory_format) -> "Execution":
        """Return this execution without channels last if the network does not support that format."""
        return self if memory_format == INFERENCE else replace(self, channels_last=False)

    def place(self, x: Tensor) -> Tensor:
        """Return a batch `[N, ...]` in this memory format."""
        return laid(x, INFERENCE if self.channels_last else PLAIN)

    @contextmanager
    def precision(self, device: torch.device) -> Iterator[None]:
        """Use autocast and matrix products for small maps inside the block, as far as this execution has them."""
        with (
            torch.autocast(device.type, dtype=self.autocast or torch.bfloat16, enabled=self.autocast is not None),
            SmallMaps() if self.small_maps else nullcontext(),
        ):
            yield

    def __str__(self) -> str:
        kind = str(self.autocast).removeprefix("torch.") if self.autocast else "float32"
        order = "channels_last" if self.channels_last else "contiguous"
        return f"{kind}, {order}{', small maps as products' if self.small_maps else ''}"


TYPES: dict[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The autocast types by their names in a spec."""


def choose_execution(
    module: nn.Module, example: Tensor, spec: TrainingSpec, *, cache: MeasurementCache, key: str
) -> Execution:
    """Return the fastest execution that `spec` allows.

    It is measured on a copy of `module` in training mode and cached in `cache`. `example` `[N, ...]` is a training
    batch on the device. Options that `module` does not support (channels last, another precision, small maps as
    products) are dropped if `spec` leaves the choice. float16 is tried only if `spec` names it, since it needs loss
    scaling, unlike bfloat16.

    Raises TrainingError if no option works, and OutOfMemoryError.
    """
    if spec.precision != "auto" and spec.channels_last != "auto" and spec.small_maps != "auto":
        return Execution(spec.channels_last, TYPES[spec.precision], spec.small_maps)
    name = f"execution/{key}/{spec.precision}/{spec.channels_last}/{spec.small_maps}/{len(example)}"
    table = cache.once(name, "choosing precision and memory format", lambda: _measured(module, example, spec))
    return Execution(table["channels_last"], TYPES[table["precision"]], table["small_maps"])


def _measured(module: nn.Module, example: Tensor, spec: TrainingSpec) -> dict[str, Any]:
    """Return the fastest execution as a table, with the seconds of a training step in each one that was tried."""
    precisions: tuple[str, ...] = (spec.precision,)
    if spec.precision == "auto":
        precisions = ("float32", "bfloat16") if _bfloat16_gains(example.device) else ("float32",)
    orders = (False, True) if spec.channels_last == "auto" else (spec.channels_last,)
    options = [
        Execution(order, TYPES[precision], spec.small_maps is True) for precision in precisions for order in orders
    ]
    seconds: dict[Execution, float] = {}
    best = options[0] if len(options) == 1 else _fastest(module, example, options, seconds)
    if spec.small_maps == "auto" and has_small_maps(module, example):
        best = _fastest(module, example, [best, replace(best, small_maps=True)], seconds)
    precision = next(name for name, kind in TYPES.items() if kind is best.autocast)
    return {
        "precision": precision,
        "channels_last": best.channels_last,
        "small_maps": best.small_maps,
        "step_seconds": {str(option): value for option, value in seconds.items()},
    }


def _fastest(
    module: nn.Module, example: Tensor, options: list[Execution], seconds: dict[Execution, float]
) -> Execution:
    """Return the fastest option, or the first working one if others gain too little. Times are added to `seconds`.

    Raises TrainingError if none works, and OutOfMemoryError.
    """
    failure: Exception | None = None
    for option in options:
        if option in seconds:
            continue
        try:
            with memory_errors(len(example)):
                seconds[option] = _step_seconds(module, example, option)
        except OutOfMemoryError:
            raise
        except Exception as error:  # a module may raise anything in a format that it does not support
            raise_shortage(error)
            failure = failure or error
    able = [option for option in options if option in seconds]
    if not able:
        assert failure is not None
        plain = options[0] == Execution()
        raise TrainingError(
            f"{type(module).__name__} does not run a training step in {options[0]} ({first_line(failure)}); "
            + ("correct its forward" if plain else "leave training.precision, channels_last and small_maps at 'auto'")
        ) from failure
    best = min(able, key=lambda option: seconds[option])
    return able[0] if seconds[able[0]] < GAIN * seconds[best] else best


def _bfloat16_gains(device: torch.device) -> bool:
    """Whether a small matrix product is faster in bfloat16. On a CPU without it, a step takes many times longer."""
    if device.type != "cpu":
        return True
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        factor = torch.ones(256, 256, device=device, dtype=kind)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            float((factor @ factor)[0, 0])
            times.append(time.perf_counter() - start)
        seconds[kind] = min(times)
    return seconds[torch.bfloat16] < seconds[torch.float32]


def _step_seconds(module: nn.Module, example: Tensor, execution: Execution) -> float:
    """Return the time in seconds of the faster of two training steps, after one for warm-up."""
    trial = copy_of(module)
    trial.train()
    if execution.channels_last:
        lay_out(trial)
    batch, times = execution.place(example), []
    for _ in range(3):
        start = time.perf_counter()
        with execution.precision(example.device):
            output = trial(batch)
        logits = main_output(output)
        if logits.requires_grad:  # all parameters of a module may be frozen
            logits.float().square().mean().backward()  # type: ignore[no-untyped-call]
            trial.zero_grad(set_to_none=True)
        if example.device.type == "cuda":
            torch.cuda.synchronize(example.device)
        times.append(time.perf_counter() - start)
    return min(times[1:])

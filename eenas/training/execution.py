"""Memory format, precision and the way of small maps, chosen by a short measurement on the device that is there."""

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
"""How many times faster a format must be than the plain one to be taken."""


@dataclass(frozen=True)
class Execution:
    """How training steps run.

    Images are in channels-last order or not, `autocast` is its type (None: float32), and with `small_maps`
    convolutions on small maps are matrix products (`SmallMaps`).
    """

    channels_last: bool = False
    autocast: torch.dtype | None = None
    small_maps: bool = False

    def within(self, memory_format: torch.memory_format) -> "Execution":
        """This execution without channels last, where a network does not run so."""
        return self if memory_format == INFERENCE else replace(self, channels_last=False)

    def place(self, x: Tensor) -> Tensor:
        """A batch `[N, ...]` in this memory format."""
        return laid(x, INFERENCE if self.channels_last else PLAIN)

    @contextmanager
    def precision(self, device: torch.device) -> Iterator[None]:
        """Autocast and matrix products for small maps inside the block, where this execution uses them."""
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
"""The autocast types by the names that a specification uses."""


def choose_execution(
    module: nn.Module, example: Tensor, spec: TrainingSpec, *, cache: MeasurementCache, key: str
) -> Execution:
    """The fastest execution that `spec` allows, measured on a copy of `module` in training mode and kept in `cache`.

    What a module does not run in (channels last, another precision, small maps as products) is left out where `spec`
    leaves the choice. Raises TrainingError where it runs in none.

    `example` `[N, ...]` is a training batch on the device. float16 is tried only where the spec names it: it needs
    loss scaling, and bfloat16 does not.
    """
    if spec.precision != "auto" and spec.channels_last != "auto" and spec.small_maps != "auto":
        return Execution(spec.channels_last, TYPES[spec.precision], spec.small_maps)
    name = f"execution/{key}/{spec.precision}/{spec.channels_last}/{spec.small_maps}/{len(example)}"
    known = cache.get(name)
    if known is not None:
        return _read(known)
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
    found = {
        "precision": precision,
        "channels_last": best.channels_last,
        "small_maps": best.small_maps,
        "step_seconds": {str(option): value for option, value in seconds.items()},
    }
    return _read(cache.put(name, found))


def _read(table: dict[str, Any]) -> Execution:
    return Execution(table["channels_last"], TYPES[table["precision"]], table["small_maps"])


def _fastest(
    module: nn.Module, example: Tensor, options: list[Execution], seconds: dict[Execution, float]
) -> Execution:
    """The fastest of the options, which are timed into `seconds`; the first that runs where others gain too little.

    Raises TrainingError where none runs, OutOfMemoryError.
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
        except Exception as error:  # whatever a module raises in a format that it was not written for
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
    """Whether a small matrix product is faster in bfloat16: on a CPU without it a step takes many times longer."""
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
    """The faster of two timed training steps after one that warms up, in seconds."""
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
        if logits.requires_grad:  # a module may come with all its parameters frozen
            logits.float().square().mean().backward()  # type: ignore[no-untyped-call]
            trial.zero_grad(set_to_none=True)
        if example.device.type == "cuda":
            torch.cuda.synchronize(example.device)
        times.append(time.perf_counter() - start)
    return min(times[1:])

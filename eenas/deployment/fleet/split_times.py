"""What one sample costs on a device, on the link and on the server, for one split."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from eenas.errors import SimulationError
from eenas.escaping import shortened
from eenas.measurement.tiers.tier_costs import TierCosts
from eenas.tier_names import TIER_LATENCY


@dataclass(frozen=True, kw_only=True)
class SplitTimes:
    """The times in ms and bytes of one split of a network with K exits, each measured or predicted for one sample.

    `device_ms` [E] is the time on the device of a sample that leaves at each of its E exits, every branch on the way
    included. A sample that leaves at none of them takes `cut_ms` on the device, sends `sent_bytes`, and leaves at one
    of the remaining exits after `server_ms` [K - E] on the server; the answer has `answer_bytes`. Without server exits
    (E = K) everything runs on the device. Raises SimulationError for negative, infinite or decreasing times.
    """

    device_ms: tuple[float, ...]
    cut_ms: float = 0.0
    sent_bytes: float = 0.0
    server_ms: tuple[float, ...] = ()
    answer_bytes: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        """Convert to floats and check them."""
        for name in ("device_ms", "server_ms"):
            values = numbers_from_zero(name, getattr(self, name))
            object.__setattr__(self, name, values)
            if any(later < earlier for earlier, later in pairwise(values)):
                raise SimulationError(
                    f"{name} must not decrease from exit to exit, got {shortened(list(values))}; count every part on "
                    "the way to an exit"
                )
        for name in ("cut_ms", "sent_bytes", "answer_bytes"):
            object.__setattr__(self, name, number_from_zero(name, getattr(self, name)))
        if not self.num_exits:
            raise SimulationError("a split needs at least one exit, got none; give device_ms or server_ms")
        if self.server_ms and self.device_ms and self.cut_ms < self.device_ms[-1]:
            raise SimulationError(
                f"cut_ms must be at least the time of the last exit on the device, {self.device_ms[-1]:g}, got "
                f"{self.cut_ms:g}; a sample passes that exit before it is sent"
            )

    @classmethod
    def of_tiers(cls, costs: TierCosts, split: str) -> Self:
        """Return the times of a split of two tiers, of which every exit keeps its branch.

        The last tier's time of an answer outside its programs counts as work of the server. Raises MeasurementError for
        an unknown split, SimulationError for more than two tiers.
        """
        if len(costs.tiers.tiers) != 2:
            raise SimulationError(
                f"a fleet has devices and one server, got the tiers {', '.join(costs.tiers.names)}; give two of them"
            )
        parts, done, link = costs[TIER_LATENCY], costs.positions(split)[0], costs.tiers.links[0]
        device, server = (np.concatenate([[0.0], np.cumsum(row)]) for row in parts.segments)
        here = [exit_ for exit_, after in enumerate(parts.after) if after <= done]
        there = range(len(here), len(parts.after))
        passed = np.cumsum(parts.branches[0, : len(here)])
        behind = np.cumsum(parts.branches[1, len(here) :])
        sent = 0.0 if not there else float(costs.sent_bytes[0, done]) - link.overhead_bytes
        entry = parts.hops[0, done] - link.send_ms(sent, costs.answer_bytes)
        return cls(
            device_ms=tuple(float(device[parts.after[exit_]] + passed[exit_]) for exit_ in here),
            cut_ms=float(device[done] + (passed[-1] if here else 0.0)),
            sent_bytes=sent,
            server_ms=tuple(
                float(max(entry, 0.0) + server[parts.after[exit_]] - server[done] + behind[exit_ - len(here)])
                for exit_ in there
            ),
            answer_bytes=float(costs.answer_bytes) if there else 0.0,
            name=split,
        )

    @property
    def num_exits(self) -> int:
        """The number of exits K."""
        return len(self.device_ms) + len(self.server_ms)

    @property
    def on_device(self) -> int:
        """The number of exits E on the device."""
        return len(self.device_ms)


def number_from_zero(name: str, value: object, most: float = math.inf) -> float:
    """Return a value as a float. Raises SimulationError unless it is finite and from 0 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or math.isinf(value):
        bound = "from 0 up" if math.isinf(most) else f"from 0 to {most:g}"
        raise SimulationError(f"{name} must be a finite number {bound}, got {shortened(value)}")
    return float(value)


def positive_number(name: str, value: object) -> float:
    """Return a value as a float. Raises SimulationError unless it is finite and above 0."""
    if number_from_zero(name, value) == 0:
        raise SimulationError(f"{name} must be above 0, got {shortened(value)}")
    return float(value)  # type: ignore[arg-type]  # a number, as checked


def numbers_from_zero(name: str, values: Iterable[object]) -> tuple[float, ...]:
    """Return values as floats. Raises SimulationError unless all are finite and from 0 up."""
    return tuple(number_from_zero(name, each) for each in values)


def whole_number(name: str, value: object, most: int, least: int = 1) -> int:
    """Return a whole number. Raises SimulationError unless it is from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SimulationError(f"{name} must be a whole number from {least} to {most:,}, got {shortened(value)}")
    return value

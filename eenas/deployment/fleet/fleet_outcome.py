"""What happened to every sample of a simulated fleet, and the figures that follow from it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Loads:
    """Shares in [0, 1] of time that the processors, the links and the workers are busy while samples arrive.

    `offered` are the shares that the work would take without limit; a queue with 1 or more grows without end.
    """

    device: float
    link: float
    server: float
    offered: dict[str, float]

    @property
    def unstable(self) -> tuple[str, ...]:
        """The queues that grow without end: "device", "link" or "server"."""
        return tuple(name for name, load in self.offered.items() if load >= 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetOutcome:
    """R samples of a simulated fleet, those of the warm-up left out; every array is [R].

    `latency_ms` counts from arrival to answer. `exits` are those that answered. A sample `sent` left the device, one
    `dropped` was answered by the last exit on the device because no answer of the server came before the deadline.
    `energy_j` is that of the device and its radio. `bytes_sent` counts all samples that were sent, with headers, as the
    costs of tiers do.
    """

    devices: int
    samples: int
    seconds: float
    latency_ms: NDArray[np.float64]
    device_wait_ms: NDArray[np.float64]
    link_wait_ms: NDArray[np.float64]
    server_wait_ms: NDArray[np.float64]
    exits: NDArray[np.int64]
    on_device: NDArray[np.bool_]
    sent: NDArray[np.bool_]
    dropped: NDArray[np.bool_]
    right: NDArray[np.bool_]
    energy_j: NDArray[np.float64]
    bytes_sent: float
    mean_batch: float | None
    loads: Loads

    def __len__(self) -> int:
        """The number of samples R."""
        return len(self.latency_ms)

    def quantile(self, share: float) -> float:
        """Return the latency in ms that this share of the samples does not exceed."""
        return float(np.quantile(self.latency_ms, share))

    @cached_property
    def accuracy(self) -> float:
        """The accuracy in [0, 1] of all answers."""
        return float(self.right.mean())

    @property
    def offload_rate(self) -> float:
        """The share of samples that the device alone does not answer."""
        return float(1.0 - self.on_device.mean())

    @property
    def drop_rate(self) -> float:
        """The share of samples answered by the last exit on the device at the deadline."""
        return float(self.dropped.mean())

"""The link of each device in a simulation: a link's expected times, drawn at random with the same mean."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.bandwidth_trace import BandwidthTrace
from eenas.errors import SimulationError
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.transfer import HEADERS, SEGMENT


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnTransfers:
    """The times of R requests in ms, each [R]: the link is busy sending for `busy`, then `there` and `back` pass.

    With a trace, `busy` lacks the time of `wire_bytes` at the bandwidth of the moment.
    """

    busy: NDArray[np.float64]
    there: NDArray[np.float64]
    back: NDArray[np.float64]
    wire_bytes: float


@dataclass(frozen=True, kw_only=True)
class FleetLink:
    """The link that each device has for itself, and the bandwidth over time, if it changes.

    With a `trace`, the bandwidth of `link` has no effect on the sending of requests. Each of several devices starts at
    a random moment of it. Slow start, losses and answers take their times at the mean bandwidth of the trace.
    """

    link: Link = field(default_factory=lambda: Link.of_preset("4g"))
    trace: BandwidthTrace | None = None

    @property
    def mean_link(self) -> Link:
        """The link at its mean bandwidth."""
        return self.link if self.trace is None else replace(self.link, mbit=self.trace.mean_mbit, preset="")

    def draw(self, count: int, sent: float, received: float, random: np.random.Generator) -> DrawnTransfers:
        """Return the times of `count` requests with `sent` bytes and answers with `received` bytes.

        Their mean is `Link.send_ms`. Jitter is lognormal, with a standard deviation as large as its mean. The delay by
        losses is exponential where at least one segment is lost, and zero elsewhere.
        """
        link = self.mean_link
        steady = replace(link, jitter_ms=0.0, loss=0.0)
        plain, half = steady.send_ms(0.0, 0.0) / 2, steady.round_trip_ms / 2
        busy, back = (steady.send_ms(*sizes) - plain - half for sizes in ((sent, 0.0), (0.0, received)))
        wire = 0.0
        if self.trace is not None:
            size = sent + link.overhead_bytes
            wire = size + HEADERS * max(1, -(-int(size) // SEGMENT))
            busy = max(0.0, busy - 8e-3 * wire / link.mbit)
        lossless = replace(link, loss=0.0).send_ms(sent, received)
        jitter, delay = (lossless - steady.send_ms(sent, received)) / 2, link.send_ms(sent, received) - lossless
        waits = random.lognormal(np.log(jitter) - np.log(2) / 2, np.sqrt(np.log(2)), (2, count)) if jitter > 0 else 0.0
        there, home = np.broadcast_to(np.asarray(waits), (2, count)) + half
        extra = self._losses(count, sent + received, delay, random) if delay > 0 else 0.0
        return DrawnTransfers(
            busy=np.full(count, busy) + extra, there=np.array(there), back=home + back, wire_bytes=wire
        )

    def _losses(self, count: int, size: float, mean: float, random: np.random.Generator) -> NDArray[np.float64]:
        """Return the delays [count] by losses, `mean` on average."""
        segments = max(1.0, np.ceil((size + 2 * self.link.overhead_bytes) / SEGMENT))
        hit = 1.0 - (1.0 - self.link.loss) ** segments
        return np.asarray((random.random(count) < hit) * random.exponential(mean / hit, count))


def shifts_of(link: FleetLink, devices: int, random: np.random.Generator) -> NDArray[np.float64] | None:
    """Return the moments in ms [devices] of the trace at which the devices start, or None without a trace."""
    if link.trace is None:
        return None
    if not isinstance(link.trace, BandwidthTrace):
        raise SimulationError("a trace of bandwidth must be a BandwidthTrace; read one with BandwidthTrace.read(file)")
    return 1000.0 * link.trace.period * random.random(devices) if devices > 1 else np.zeros(1)

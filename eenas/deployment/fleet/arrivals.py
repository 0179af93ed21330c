"""The moments at which samples arrive at devices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.split_times import positive_number
from eenas.errors import SimulationError, nearest
from eenas.escaping import shortened

KINDS = ("poisson", "regular", "trace")
MOST_REQUESTS = 50_000_000
"""The largest number of samples of a simulation. Each takes about 200 bytes of memory."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Samples per second and device: "poisson" at random, "regular" at equal distances, or a "trace" of moments.

    Regular devices start at random moments of their period, a single one at 0. A trace [T] holds moments in seconds in
    ascending order, which every device repeats; `rate` is not used. Raises SimulationError for other values.
    """

    kind: str = "poisson"
    rate: float = 1.0
    moments: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in KINDS:
            raise SimulationError(f"arrivals: unknown kind {shortened(self.kind)}; {nearest(str(self.kind), KINDS)}")
        object.__setattr__(self, "rate", positive_number("the rate of arrivals per second", self.rate))
        if (self.kind == "trace") != bool(self.moments):
            raise SimulationError('arrivals: moments belong to the kind "trace", which needs at least one; give both')
        moments = np.asarray(self.moments, dtype=np.float64)
        if not (np.isfinite(moments) & (moments >= 0)).all() or (np.diff(moments) < 0).any():
            raise SimulationError("arrivals: moments must be seconds from 0 up in ascending order; sort the trace")

    def draw(
        self, devices: int, seconds: float, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the device [R] and the moment in ms [R] of every sample before `seconds`, sorted by both.

        Raises SimulationError for more than MOST_REQUESTS samples.
        """
        expected = devices * (sum(each < seconds for each in self.moments) if self.moments else self.rate * seconds)
        if expected > MOST_REQUESTS:
            raise SimulationError(
                f"{expected:,.0f} samples are too many for a simulation, at most {MOST_REQUESTS:,}; lower the rate, "
                "the devices or the seconds"
            )
        if self.kind == "poisson":
            counts = random.poisson(self.rate * seconds, devices)
            owners = np.repeat(np.arange(devices), counts)
            found = random.uniform(0.0, seconds, len(owners))
            return owners, 1000.0 * found[np.lexsort((found, owners))]
        if self.kind == "regular":
            starts = random.uniform(0.0, 1.0 / self.rate, devices) if devices > 1 else np.zeros(1)
            steps = np.arange(int(np.ceil(self.rate * seconds)) + 1) / self.rate
            found = starts[:, None] + steps
        else:
            found = np.broadcast_to(np.array(self.moments), (devices, len(self.moments)))
        kept = found < seconds
        return np.nonzero(kept)[0], 1000.0 * found[kept]

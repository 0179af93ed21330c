"""A fleet: devices that share a server, with everything that a simulation of them needs to know."""

from dataclasses import dataclass, field

from eenas.deployment.fleet.arrivals import Arrivals
from eenas.deployment.fleet.fleet_link import FleetLink
from eenas.deployment.fleet.server_queue import ServerQueue
from eenas.deployment.fleet.split_times import number_from_zero, positive_number, whole_number
from eenas.errors import SimulationError

MOST_DEVICES = 1_000_000
LONGEST_S = 1e7


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Devices, the moments at which samples arrive at each of them, their links, and the server that they share.

    Samples arrive for `seconds`; those of the first `warm_up_s` load the queues but are not counted. A sample that the
    server has not answered `deadline_ms` after its arrival is answered by the last exit on the device; it leaves the
    queues where its turn has not come. `watts` is the power of a busy device. Equal seeds give equal simulations.
    """

    devices: int = 1
    seconds: float = 60.0
    arrivals: Arrivals = field(default_factory=Arrivals)
    link: FleetLink = field(default_factory=FleetLink)
    server: ServerQueue = field(default_factory=ServerQueue)
    deadline_ms: float | None = None
    warm_up_s: float = 0.0
    watts: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        whole_number("the number of devices", self.devices, MOST_DEVICES)
        whole_number("the seed", self.seed, 2**31 - 1, 0)
        positive_number("the seconds of a simulation", self.seconds)
        number_from_zero("the seconds of a simulation", self.seconds, LONGEST_S)
        number_from_zero("the watts of a device", self.watts)
        if self.deadline_ms is not None:
            positive_number("the deadline in ms", self.deadline_ms)
        if number_from_zero("the warm-up in seconds", self.warm_up_s) >= self.seconds:
            raise SimulationError(
                f"the warm-up must be shorter than the {self.seconds:g} s of the simulation, got {self.warm_up_s:g} s"
            )

"""Simulations of one network with different numbers of devices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_outcome import FleetOutcome
from eenas.deployment.fleet.reliability import Reliability, reliability
from eenas.deployment.fleet.simulator import Deciding, simulate_fleet
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError
from eenas.escaping import shortened
from eenas.measurement.tiers.tiers import Tiers

MOST_RUNS = 50
"""The most numbers of devices that are compared."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityTarget:
    """The accuracy in [0, 1] and the mean latency in ms that random batches have to reach."""

    accuracy: float
    latency_ms: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetRuns:
    """One simulation for each number of devices, in ascending order, of a network by `name` with a kind of decisions.

    `fleet` holds the settings that all share. `origin` says where the times of device and server are from ("" if they
    were given). `reliabilities` are empty without a target.
    """

    name: str
    decisions: str
    times: SplitTimes
    fleet: Fleet
    outcomes: tuple[FleetOutcome, ...]
    origin: str = ""
    reliabilities: tuple[Reliability, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class DecidedNetwork:
    """A network by `name` with its times and its decisions, which are those of `kind`, such as "threshold".

    `tiers` are the device and the server (None: only their times are known), and `origin` says where the times are from
    ("" if they were given).
    """

    name: str
    kind: str
    times: SplitTimes
    deciding: Deciding
    tiers: Tiers | None = None
    origin: str = ""


def fleet_runs(
    network: DecidedNetwork, fleet: Fleet, devices: Sequence[int] = (), target: ReliabilityTarget | None = None
) -> FleetRuns:
    """Return a simulation for each number of `devices`, by default that of the fleet.

    The link and the power of a device are those of the tiers of the network, if it has any.

    Raises SimulationError as `simulate_fleet` and `reliability` do, and for more than MOST_RUNS numbers.
    """
    counts = sorted(set(devices or (fleet.devices,)))
    if len(counts) > MOST_RUNS:
        raise SimulationError(f"at most {MOST_RUNS} numbers of devices can be compared, got {shortened(counts)}")
    if network.tiers is not None:
        link, watts = replace(fleet.link, link=network.tiers.links[0]), network.tiers.tiers[0].watts
        fleet = replace(fleet, link=link, watts=watts)
    fleets = [replace(fleet, devices=count) for count in counts]
    outcomes = tuple(simulate_fleet(network.times, network.deciding, each) for each in fleets)
    reached = (
        ()
        if target is None
        else [reliability(each, target.accuracy, target.latency_ms, fleet.seed) for each in outcomes]
    )
    return FleetRuns(
        name=network.name,
        decisions=network.kind,
        times=network.times,
        fleet=fleet,
        outcomes=outcomes,
        origin=network.origin,
        reliabilities=tuple(reached),
    )

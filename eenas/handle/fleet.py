"""`eenas fleet`: a network of a study, a run, a model or a table on many simulated devices with one server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eenas.deployment.fleet.controlled_devices import ControlledDevices
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_runs import DecidedNetwork, FleetRuns, ReliabilityTarget, fleet_runs
from eenas.deployment.fleet.sample_decisions import decide
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError
from eenas.handle.recordings import DecidedTable, RecordingSource
from eenas.handle.tiered_source import TieredSource
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy
from eenas.reporting.facts.tiers.tier_facts import read_sources
from eenas.specs import from_table, read_table
from eenas.tier_names import TIER_LATENCY

DEVICE = Tier(name="edge", factor=10.0)


@dataclass(frozen=True, kw_only=True)
class FleetSource:
    """Where the network of a simulated fleet comes from, beside its source.

    `samples` is where its samples come from. `tiers` are the device and the server, whose files are relative to
    `folder`, and `cut` the cut point between them ("" for everything on the server, "final" for everything on the
    device; None for the split with the lowest expected latency). `times`, a TOML file with the fields of `SplitTimes`,
    replaces them; an exit table needs it. `threshold` is one for all exits in place of the policy, which an exit table
    does not have. `controller` is a text such as "adaee,overhead=0.2": each device then has a controller of its own.
    """

    samples: RecordingSource = field(default_factory=RecordingSource)
    tiers: Tiers = field(default_factory=lambda: Tiers.of(Link.of_preset("4g"), edge=DEVICE))
    folder: Path | None = None
    cut: str | None = None
    times: Path | None = None
    threshold: float | None = None
    controller: str | None = None

    def read(self, source: str | Path, *, seed: int = 0) -> DecidedNetwork:
        """Return the network of a source with its times and decisions. Raises EenasError if they do not fit."""
        found = self.samples.decided(source)
        times = self._times(source)
        if times.num_exits != found.table.num_exits:
            raise SimulationError(
                f"{self.times or source}: the times are for {times.num_exits} exits, {found.name} has "
                f"{found.table.num_exits}; give times of the same network"
            )
        if self.controller is not None:
            if self.threshold is not None:
                raise SimulationError("a controller chooses the thresholds; leave the threshold or the controller out")
            kind = controller_from_text(self.controller, trust_code=self.samples.trust_code)
            deciding = ControlledDevices(kind=kind, recording=found.recording(), on_device=times.on_device, seed=seed)
            return DecidedNetwork(name=found.name, kind=f"a controller ({kind.kind})", times=times, deciding=deciding)
        policy = self._policy(found)
        return DecidedNetwork(
            name=found.name,
            kind=f"{policy.kind} ({policy.label()})",
            times=times,
            deciding=decide(policy, found.table, times.on_device),
        )

    def _policy(self, found: DecidedTable) -> Policy:
        if self.threshold is not None:
            return ThresholdPolicy(
                score="max_softmax",
                temperatures=tuple(found.temperatures),
                thresholds=(self.threshold,) * (found.table.num_exits - 1),
            )
        if found.policy is None:
            raise SimulationError(f"{found.name}: has no policy; add --threshold 0.8 or --controller adaee")
        return found.policy

    def _times(self, source: str | Path) -> SplitTimes:
        if self.times is not None:
            if self.cut is not None:
                raise SimulationError(f"{self.times}: holds the times of one split; leave --cut or --times out")
            return from_table(SplitTimes, read_table(self.times), file=str(self.times))
        if Path(source).is_file():
            raise SimulationError(f"{source}: has no times of its parts; add --times FILE with device_ms and so on")
        samples = self.samples
        subject = TieredSource(
            storage=samples.storage, artifacts=samples.artifacts, network=samples.network, trust_code=samples.trust_code
        ).read(source)
        costs = subject.costs(self.tiers, read_sources(self.tiers, self.folder))
        cut = self.cut
        if cut is None:
            named = costs.named(costs.best(subject.shares, TIER_LATENCY).split)
            cut = named if isinstance(named, str) else named[0]
        return SplitTimes.of_tiers(costs, cut)


def simulate_devices(
    source: str | Path,
    fleet: Fleet,
    *,
    given: FleetSource | None = None,
    devices: Sequence[int] = (),
    target: ReliabilityTarget | None = None,
) -> FleetRuns:
    """Return simulations of a network on fleets with each number of `devices`, by default that of `fleet`.

    `source` is a folder of an exported model or a run (with data), the name of a study, or an exit table (.npz, with
    times and a threshold or controller). The link and the power of the device are those of the tiers of `given`, and
    the rest is that of `fleet`. Raises EenasError for what does not fit together.
    """
    where = given or FleetSource()
    network = where.read(source, seed=fleet.seed)
    link = replace(fleet.link, link=where.tiers.links[0])
    return fleet_runs(network, replace(fleet, link=link, watts=where.tiers.tiers[0].watts), devices, target)

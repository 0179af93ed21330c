"""`eenas fleet`: a network of a study, a run, a model or a table on many simulated devices with one server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eenas.deployment.fleet.controlled_devices import ControlledDevices
from eenas.deployment.fleet.fleet import Fleet
from eenas.deployment.fleet.fleet_runs import DecidedNetwork, FleetRuns, ReliabilityTarget, fleet_runs
from eenas.deployment.fleet.sample_decisions import decide
from eenas.deployment.fleet.simulator import Deciding
from eenas.deployment.fleet.split_times import SplitTimes
from eenas.errors import SimulationError, plural
from eenas.handle.recordings import DecidedTable, RecordingSource
from eenas.handle.tiered_source import TieredSource
from eenas.measurement.tiers.tier_text import tiers_from_texts
from eenas.measurement.tiers.tiers import Tiers
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.policy import Policy
from eenas.reporting.facts.tiers.tier_facts import read_sources
from eenas.specs import from_table, read_table
from eenas.tier_names import TIER_LATENCY


@dataclass(frozen=True, kw_only=True)
class FleetSource:
    """Where the network of a simulated fleet comes from, beside its source.

    `samples` is where its samples come from. `tiers` are the device and the server, whose files are relative to
    `folder`. None takes those of the study, or a 4g link and a device that takes ten times as long as this machine; the
    texts `link`, `edge` and `cloud` replace their part of them (`tiers_from_texts`). `cut` is the cut point between
    device and server ("" for everything on the server, "final" for everything on the device; None for the split with
    the lowest expected latency). `times`, a TOML file with the fields of `SplitTimes`, replaces the times of both; an
    exit table needs it. `threshold` is one for all exits in place of the policy, which an exit table
    does not have. `controller` is a text such as "adaee,overhead=0.2": each device then has a controller of its own.
    """

    samples: RecordingSource = field(default_factory=RecordingSource)
    tiers: Tiers | None = None
    folder: Path | None = None
    link: str | None = None
    edge: str | None = None
    cloud: str | None = None
    cut: str | None = None
    times: Path | None = None
    threshold: float | None = None
    controller: str | None = None

    def read(self, source: str | Path, *, seed: int = 0) -> DecidedNetwork:
        """Return the network of a source with its times and decisions. Raises EenasError if they do not fit."""
        found = self.samples.decided(source)
        tiers, folder, of_study = self._tiers(source)
        times = self._times(source, tiers, folder)
        origin = "Tiers of the study: " if of_study else "Tiers: "
        origin += ", ".join(f"{each.name}: {each.source}" for each in tiers.tiers)
        if times.num_exits != found.table.num_exits:
            raise SimulationError(
                f"{self.times or source}: the times are for {plural(times.num_exits, 'exit')}, {found.name} has "
                f"{found.table.num_exits}; give times of the same network"
            )
        if self.controller is not None:
            if self.threshold is not None:
                raise SimulationError("a controller chooses the thresholds; leave the threshold or the controller out")
            kind = controller_from_text(self.controller, trust_code=self.samples.trust_code)
            deciding: Deciding = ControlledDevices(
                kind=kind, recording=found.recording(), on_device=times.on_device, seed=seed
            )
            label = f"a controller ({kind.kind})"
        else:
            policy = self._policy(found)
            label, deciding = f"{policy.kind} ({policy.label()})", decide(policy, found.table, times.on_device)
        return DecidedNetwork(
            name=found.name,
            kind=label,
            times=times,
            deciding=deciding,
            tiers=tiers,
            origin="" if self.times else origin,
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

    def _tiers(self, source: str | Path) -> tuple[Tiers, Path | None, bool]:
        """Return the device and the server, the folder of their files, and whether they are those of the study."""
        if self.tiers is not None:
            return self.tiers, self.folder, False
        own, folder = (None, None) if Path(source).exists() else self._tiered.tiers_of(str(source))
        return tiers_from_texts(self.link, self.edge, self.cloud, own), folder, own is not None

    @property
    def _tiered(self) -> TieredSource:
        samples = self.samples
        return TieredSource(
            storage=samples.storage, artifacts=samples.artifacts, network=samples.network, trust_code=samples.trust_code
        )

    def _times(self, source: str | Path, tiers: Tiers, folder: Path | None) -> SplitTimes:
        if self.times is not None:
            if self.cut is not None:
                raise SimulationError(f"{self.times}: holds the times of one split; leave --cut or --times out")
            return from_table(SplitTimes, read_table(self.times), file=str(self.times))
        if Path(source).is_file():
            raise SimulationError(f"{source}: has no times of its parts; add --times FILE with device_ms and so on")
        subject = self._tiered.read(source)
        costs = subject.costs(tiers, read_sources(tiers, folder))
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
    times and a threshold or controller). The link and the power of the device are those of the tiers of `given` or of
    the study, and the rest is that of `fleet`. Raises EenasError for what does not fit together.
    """
    network = (given or FleetSource()).read(source, seed=fleet.seed)
    return fleet_runs(network, fleet, devices, target)

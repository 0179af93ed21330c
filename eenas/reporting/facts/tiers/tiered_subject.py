"""A network whose splits are examined: its measured parts, where it can be cut, and how many samples leave where."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eenas.branches.branch import Branch
from eenas.errors import MeasurementError
from eenas.measurement.latency_profile import LatencyProfile
from eenas.measurement.tiers.part_times import PartTimes, reached_ms, segments_of
from eenas.measurement.tiers.tier_costs import TierCosts, TieredNetwork, tier_costs
from eenas.measurement.tiers.tier_sources import MeasuredNetwork, TierSource, profile_times, tier_times
from eenas.measurement.tiers.tiers import Tier, Tiers


@dataclass(frozen=True, kw_only=True, eq=False)
class TieredSubject:
    """A network by `name` on a `backbone`, with K exits and L - 1 cut points where it can be split.

    `shares` [K] are the shares of samples that leave at each exit. `measured` are its parts as profiled. It is None for
    an exported model, whose programs end at exits only: its times here are `reached_ms` [K], those of leaving at each
    exit, and a branch counts with the segment before it. `carried` [L - 1] counts the columns that no codec may change
    at each cut point (empty: none). `place` is the device and the runtime of the times. `tiers` are those of its study,
    whose files are in `folder` (None: it has none).
    """

    name: str
    backbone: str
    exits: tuple[str, ...]
    branches: tuple[Branch, ...]
    cut_points: tuple[str, ...]
    elements: tuple[int, ...]
    after: tuple[int, ...]
    shares: tuple[float, ...]
    num_classes: int
    input_shape: tuple[int, ...]
    input_bytes: int
    place: str
    measured: MeasuredNetwork | None = None
    reached_ms: tuple[float, ...] = ()
    static: bool = False
    logits_sent: bool = False
    carried: tuple[int, ...] = ()
    tiers: Tiers | None = None
    folder: Path | None = None

    @property
    def only_exits(self) -> bool:
        """Whether it can be split at exits only."""
        return self.measured is None

    def times(self, tier: Tier, source: TierSource) -> PartTimes:
        """Return the times of the parts on a tier. Raises MeasurementError if they are of another network."""
        if self.measured is not None:
            return tier_times(tier, source, self.measured)
        if isinstance(source, LatencyProfile):
            self._check(source)
            names = self.exits if self.static else self.cut_points
            return profile_times(source, names, range(len(names)), self.branches, static=self.static)
        here = PartTimes(segments_ms=segments_of(np.array(self.reached_ms)), exits_ms=np.zeros(len(self.exits)))
        if source is None:
            return here.scaled(tier.factor)
        return here.reaching(reached_ms(source, self.exits, file=tier.file))

    def _check(self, source: LatencyProfile) -> None:
        """Raise MeasurementError if a profile is of another backbone, input or number of classes."""
        pairs = {
            "the backbone": (source.profile.backbone, self.backbone),
            "the input shape": (list(source.input_shape), list(self.input_shape)),
            "the number of classes": (source.num_classes, self.num_classes),
        }
        for name, (there, here) in pairs.items():
            if there != here:
                raise MeasurementError(
                    f"{source.file}: a latency profile must match the model; {name}: {there} in the profile, {here} "
                    "here; profile this backbone with `eenas profile` and the space of its study"
                )

    def costs(self, tiers: Tiers, sources: tuple[TierSource, ...]) -> TierCosts:
        """Return the costs of this network over tiers."""
        times = tuple(self.times(tier, source) for tier, source in zip(tiers.tiers, sources, strict=True))
        network = TieredNetwork(
            times=times,
            cut_points=self.cut_points,
            elements=self.elements,
            after=self.after,
            num_classes=self.num_classes,
            input_bytes=self.input_bytes,
            logits_sent=self.logits_sent,
            carried=self.carried,
        )
        return tier_costs(network, tiers)

    def with_input_bytes(self, size: int | None) -> "TieredSubject":
        """Return the subject with another size of a raw input. Raises MeasurementError for a negative one."""
        if size is None:
            return self
        if size < 0:
            raise MeasurementError(f"the bytes of an input must be at least 0, got {size}")
        return replace(self, input_bytes=size)

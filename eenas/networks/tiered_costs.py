"""The costs of a design over the tiers of a study, for every split between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import comb

import numpy as np

from eenas.branches.cascade import Cascade
from eenas.designs.design import Design
from eenas.errors import MeasurementError
from eenas.measurement.profile import BranchCost, Profile
from eenas.measurement.tiers.part_times import PartTimes
from eenas.measurement.tiers.tier_costs import TierCosts, TieredNetwork, tier_costs
from eenas.measurement.tiers.tier_sources import MeasuredNetwork, TierSource, tier_times
from eenas.measurement.tiers.tiers import Tiers
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.split_costs import SplitCosts
from eenas.tier_names import TIER_LATENCY

MOST_SPLITS = 20_000
"""The largest number of splits that a study compares for each operating point."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyTiers:
    """The tiers of a study with the `sources` of their times, and the rule that chooses the best split.

    `plain` is the design of the backbone without branches, `input_shape` the shape of a sample in the network. `by`,
    `expected` and `worst` are those of `SplitCosts`.
    """

    tiers: Tiers
    sources: tuple[TierSource, ...]
    plain: Design
    input_shape: tuple[int, ...]
    by: str = TIER_LATENCY
    expected: Mapping[str, float] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)

    def splits(self, design: Design, profile: Profile, branches: Sequence[BranchCost]) -> SplitCosts:
        """Return the costs of leaving at each exit of `design` under every split. `branches` are in depth order.

        Branches run on the tier of their cut point. Raises MeasurementError for a part without a time on a tier, and
        for more than MOST_SPLITS splits.
        """
        network = self._measured(design, profile, branches)
        found = self._costs(design, network, self._times(network), network.after)
        links, segments = len(self.tiers.links), len(network.cut_points) + 1
        if (count := comb(segments + links, links)) > MOST_SPLITS:
            raise MeasurementError(
                f"{links + 1} tiers and {segments} segments have {count:,} splits, a study compares at most "
                f"{MOST_SPLITS:,}; name fewer tiers, or fewer cut points in backbone.cut_points"
            )
        splits = found[TIER_LATENCY].splits
        return SplitCosts(
            splits=tuple(found.named(split) for split in splits.tolist()),
            names=found.names,
            values=np.stack([found[name].columns(splits) for name in found.names], axis=1),
            by=self.by,
            expected=self.expected,
            worst=self.worst,
        )

    def least(self, profile: Profile) -> dict[str, list[float]]:
        """Return the lowest cost over all splits of ending at each cut point and of the whole backbone, by name.

        Branches count as free, so that no network ends there at less.
        """
        network = self._measured(self.plain, profile, ())
        segments = len(network.cut_points) + 1
        times = [replace(each, exits_ms=np.zeros(segments)) for each in self._times(network)]
        found = self._costs(self.plain, network, times, tuple(range(1, segments + 1)))
        splits = found[TIER_LATENCY].splits
        return {name: found[name].columns(splits).min(axis=0).tolist() for name in found.names}

    def _measured(self, design: Design, profile: Profile, branches: Sequence[BranchCost]) -> MeasuredNetwork:
        return MeasuredNetwork(
            profile=profile,
            at=tuple(profile.index(placed.cut_point) for placed in design.branches),
            branches=tuple(placed.branch for placed in design.branches),
            costs=tuple(branches),
            num_classes=design.num_classes,
            input_shape=self.input_shape,
            static=design.static,
        )

    def _times(self, network: MeasuredNetwork) -> list[PartTimes]:
        pairs = zip(self.tiers.tiers, self.sources, strict=True)
        return [tier_times(tier, source, network) for tier, source in pairs]

    def _costs(
        self, design: Design, network: MeasuredNetwork, times: Sequence[PartTimes], after: tuple[int, ...]
    ) -> TierCosts:
        shapes = {point.name: point.shape for point in network.profile.cut_points}
        tiered = TieredNetwork(
            times=tuple(times),
            cut_points=network.cut_points,
            elements=tuple(shapes[name].elements for name in network.cut_points),
            after=after,
            num_classes=design.num_classes,
            input_bytes=input_bytes(design, self.input_shape),
            logits_sent=sends_logits(design),
            carried=tuple(shapes[name].exact_columns for name in network.cut_points),
        )
        return tier_costs(tiered, self.tiers)


def input_bytes(design: Design, input_shape: Sequence[int]) -> int:
    """Return the bytes of a raw sample, as its task gives it. `input_shape` stands for lengths that vary."""
    sizes = [axis.size for axis in design.inputs.tensor.axes]
    values = math.prod(input_shape) if None in sizes else math.prod(size or 1 for size in sizes)
    return values * np.dtype(design.inputs.tensor.dtype).itemsize


def sends_logits(design: Design) -> bool:
    """Whether exits behind a split need the logits of those before it.

    It is so for a branch that reads earlier logits, boosted exits, and every policy but thresholds on single exits.
    """
    choice, training = design.policy, design.training
    reads = any(isinstance(placed.branch, Cascade) for placed in design.branches)
    alone = choice.kind == ThresholdPolicy.kind and choice.ensemble == "none" and choice.final_rule != "most_confident"
    return len(design.exits) > 1 and (reads or training.loss_weights == "boosted" or not alone)

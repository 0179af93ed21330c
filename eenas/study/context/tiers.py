"""The tiers of a study, read from its settings and checked on its backbone."""

from dataclasses import replace
from pathlib import Path

from eenas.backbones.load import Backbone
from eenas.designs.design import Design
from eenas.measurement.latency_profile import LatencyProfile
from eenas.measurement.profile import Profile
from eenas.measurement.tiers.tier_sources import TierSource, read_source
from eenas.networks.tiered_costs import StudyTiers
from eenas.specs import digest
from eenas.study.settings.cost_names import tier_costs
from eenas.study.settings.limits import Limits
from eenas.study.settings.study_spec import StudySpec
from eenas.tier_names import TIER_LATENCY


def taken_tiers(settings: StudySpec, profile: Profile, backbone: Backbone, folder: Path | None) -> StudyTiers | None:
    """Return the tiers of a study with the times in their files in `folder`, or None without tiers.

    The best split has the lowest mean of the first cost of tiers among the objectives, or of `tier_latency` if none is
    one, within the study's limits on these costs.

    Raises MeasurementError for files of another backbone, for latencies that were not measured, and for a codec that
    changes carried columns.
    """
    if settings.tiers is None:
        return None
    names = tier_costs(settings.tiers)
    plain = design_without_branches(backbone)
    found = StudyTiers(
        plain=plain,
        tiers=settings.tiers,
        sources=tuple(read_source(tier, folder) for tier in settings.tiers.tiers),
        input_shape=tuple(backbone.example().shape[1:]),
        by=next((name for name in settings.search.objectives if name in names), TIER_LATENCY),
    )
    found.splits(plain, profile, ())
    return limited(found, settings.constraints)


def limited(tiers: StudyTiers | None, limits: Limits) -> StudyTiers | None:
    """Return the tiers with the best split chosen within these limits on their costs."""
    if tiers is None:
        return None
    names = tier_costs(tiers.tiers)
    expected = {name: limit for name, limit in limits.expected.items() if name in names}
    worst = {name: limit for name, limit in limits.worst.items() if name in names}
    return replace(tiers, expected=expected, worst=worst)


def digests_of(tiers: StudyTiers | None) -> dict[str, str]:
    """Return a digest for each tier with a file, by its name: the file's content, for the identity of a study."""
    if tiers is None:
        return {}
    pairs = zip(tiers.tiers.tiers, tiers.sources, strict=True)
    return {tier.name: _digest(source) for tier, source in pairs if source is not None}


def timed_elsewhere(latencies: LatencyProfile | None, tiers: StudyTiers | None) -> tuple[LatencyProfile, ...]:
    """Return the profiles that must hold every branch of a study: that of its latencies, and those of its tiers."""
    sources = () if tiers is None else tiers.sources
    return tuple(each for each in (latencies, *sources) if isinstance(each, LatencyProfile))


def design_without_branches(backbone: Backbone) -> Design:
    """Return the design of a backbone alone."""
    return Design(
        backbone=backbone.name, num_classes=backbone.num_classes, inputs=backbone.transform.inputs, branches=()
    )


def _digest(source: TierSource) -> str:
    return source.digest if isinstance(source, LatencyProfile) else digest(source)

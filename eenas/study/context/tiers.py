"""The tiers of a study, read from its settings and checked on its backbone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eenas.backbones.load import Backbone
from eenas.designs.design import Design
from eenas.errors import MeasurementError
from eenas.measurement.latency_profile import LatencyProfile
from eenas.measurement.profile import Profile
from eenas.measurement.tiers.link import Link
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
    _check_codecs(settings.tiers.links, profile)
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


def _check_codecs(links: Sequence[Link], profile: Profile) -> None:
    """Refuse int8 beside carried columns, and float16 beside more than a mask: a mask and numbers must stay exact."""
    shapes = [point.shape for point in profile.cut_points if point.shape.kind != "vector"]
    carried, numbers = any(shape.carried for shape in shapes), any(shape.carries_numbers for shape in shapes)
    for link in links:
        if (carried and link.codec == "int8") or (numbers and link.codec == "float16"):
            fitting = "float32" if numbers else "float16 or float32"
            raise MeasurementError(
                f"{profile.backbone}: a mask or numbers of nodes travel with its features and {link.codec} would "
                f"change them; set the link's codec to {fitting}"
            )


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

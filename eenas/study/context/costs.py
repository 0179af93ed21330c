"""The custom costs of a study, read from its settings and evaluated on its backbone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eenas.errors import PolicyError, SpecError
from eenas.measurement.costs.earliness import Earliness, has_exits_in_time
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.profile import Profile
from eenas.networks.tiered_costs import StudyTiers
from eenas.policies.costs import EARLINESS, PER_SPLIT, CostFacts
from eenas.progress import Listener, Notice
from eenas.study.settings.study_spec import StudySpec


def taken_costs(
    settings: StudySpec, profile: Profile, *, trust_code: bool, folder: Path | None
) -> tuple[StudySpec, tuple[OwnCost, ...]]:
    """Return the settings with the content of files in `folder` that costs read, and the costs under `[costs]`.

    A backbone with exits in time adds the earliness.

    Raises SpecError and MeasurementError for invalid costs, and PluginError for code that is not trusted.
    """
    located, found = dict(settings.costs), []
    for name, spec in settings.costs.items():
        cost = spec.read(name, trust_code=trust_code, folder=folder)
        located[name] = spec.located(cost)
        own = OwnCost.of(name, cost, profile)
        try:
            CostFacts(name=name, unit=own.unit, provenance=own.provenance)
        except PolicyError as error:
            raise SpecError(f"costs.{name}: {error}") from None
        found.append(own)
    if EARLINESS not in settings.costs:
        if has_exits_in_time(profile):
            found.append(OwnCost.of(EARLINESS, Earliness(), profile))
        elif _named(settings):
            raise SpecError(
                f"{_named(settings)}: {profile.backbone} has no exits in time, so every answer waits for the whole "
                "series; take a backbone with such exits (series_gru_in_time), or leave it out"
            )
    return replace(settings, costs=located), tuple(found)


def _named(settings: StudySpec) -> str:
    """Return where a study names the earliness, or an empty text."""
    limits = settings.constraints
    if EARLINESS in settings.search.objectives:
        return f"search.objectives: {EARLINESS}"
    return f"constraints: a limit on {EARLINESS}" if EARLINESS in (*limits.expected, *limits.worst) else ""


def check_limits(
    settings: StudySpec, profile: Profile, own: Sequence[OwnCost], tiers: StudyTiers | None, listener: Listener
) -> None:
    """Raise SpecError for limits that no network on the backbone can meet.

    A notice reports a limit that only static networks meet.
    """
    others: dict[str, tuple[Sequence[float], str]] = {each.name: (each.prefixes, each.unit) for each in own}
    if tiers is not None:
        others |= {name: (least, PER_SPLIT[name].unit) for name, least in tiers.least(profile).items()}
    settings.constraints.check(profile, batch=settings.latency.batch, others=others)
    most = settings.constraints.get("max_parameters")
    if most is not None and most < profile.total_parameters:
        whole = f"all {profile.total_parameters:,} parameters of the backbone"
        listener(Notice(f"only static networks meet max_parameters = {most:,}: other networks have {whole}"))

"""The costs of a study's own, read from its settings and taken on its backbone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eenas.errors import PolicyError, SpecError
from eenas.measurement.costs.own_cost import OwnCost
from eenas.measurement.profile import Profile
from eenas.policies.costs import CostFacts
from eenas.progress import Listener, Notice
from eenas.study.settings.study_spec import StudySpec


def taken_costs(
    settings: StudySpec, profile: Profile, *, trust_code: bool, folder: Path | None
) -> tuple[StudySpec, tuple[OwnCost, ...]]:
    """The costs under `[costs]`, and the settings with what they read of files beside the study file, in `folder`.

    Raises SpecError and MeasurementError for a cost that cannot be, PluginError for code that is not trusted.
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
    return replace(settings, costs=located), tuple(found)


def check_limits(settings: StudySpec, profile: Profile, own: Sequence[OwnCost], listener: Listener) -> None:
    """Raise SpecError for limits that no network on the backbone can hold; say where static ones alone can."""
    others = {each.name: (each.prefixes, each.unit) for each in own}
    settings.constraints.check(profile, batch=settings.latency.batch, others=others)
    most = settings.constraints.get("max_parameters")
    if most is not None and most < profile.total_parameters:
        whole = f"all {profile.total_parameters:,} of the backbone"
        listener(Notice(f"only static networks hold max_parameters = {most:,}: others have {whole}"))

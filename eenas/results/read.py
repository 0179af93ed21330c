"""Reading a study from the database: trials, baselines and the front, as frozen values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eenas.bounds import damage_as
from eenas.errors import MeasurementError, StorageError, StudyError, nearest
from eenas.escaping import shortened
from eenas.measurement.latency import Latency
from eenas.measurement.profile import Profile
from eenas.networks.backbone_facts import BackboneFacts
from eenas.policies.costs import KNOWN, CostFacts
from eenas.policies.operating_point import OperatingPoint
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.rows import FIX
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecords
from eenas.records.workers import WorkerRecords, is_gone
from eenas.results.front import SHARES, area_over, best_within, build_front, compare
from eenas.results.results import Baseline, StudyResults
from eenas.specs import from_table
from eenas.study.context.held_out import as_searched
from eenas.study.presence import is_alive
from eenas.study.rivals.known_networks import BACKBONE, KnownNetwork, recorded_networks
from eenas.study.rivals.offered_points import FrontPoint, offered
from eenas.study.settings.study_spec import StudySpec, readable
from eenas.training.own_code import load_own_code


def open_results(storage: str, name: str | None = None, *, trust_code: bool = False) -> StudyResults:
    """Return the results of the study `name` in `storage`, or of the newest study there.

    A search space with custom branches is read only with `trust_code`. Raises StorageError if the storage cannot be
    read, StudyError if there is no such study, and PluginError for untrusted code.
    """
    database = Database(storage, create=False)
    return read_results(database, study_record(database, name).name, trust_code=trust_code)


def study_record(database: Database, name: str | None) -> StudyRecord:
    """Return the record of the study `name`, or of the newest one. Raises StudyError if there is none."""
    known = StudyRecords(database).list()
    if not known:
        at_work = [each for each in Leases(database).held() if not is_gone(each.worker)]
        if at_work:
            raise StudyError(
                f"{database.label}: holds no study of eenas yet; {at_work[0].text} prepares one, wait for it"
            )
        raise StudyError(f"{database.label}: holds no study of eenas; run `eenas search --backbone NAME` first")
    if name is None:
        return max(known, key=lambda record: record.created)
    for record in known:
        if record.name == name:
            return record
    names = [record.name for record in known]
    raise StudyError(f"{database.label}: has no study {name!r}; {nearest(name, names)}")


def read_results(database: Database, name: str, *, trust_code: bool = False) -> StudyResults:
    """Return the results of the study `name`; see `open_results`."""
    record = study_record(database, name)
    with damage_as(StorageError, f"{database.label}: the study {shortened(name)}", FIX):
        return _results(database, record, trust_code=trust_code)


def _results(database: Database, record: StudyRecord, *, trust_code: bool) -> StudyResults:
    name, facts = record.name, record.facts
    settings = as_searched(from_table(StudySpec, readable(record.settings)))
    load_own_code(settings.space, trust_code=trust_code, relative_to=code_folder(record))
    backbone = from_table(BackboneFacts, facts["backbone"])
    classes = tuple(map(str, facts["classes"]))
    records = TrialRecords(database).list(name)
    costs = cost_facts(facts, backbone)
    networks = recorded_networks(record, records)
    chance, limits = 1.0 / len(classes), settings.constraints
    held = offered(networks, backbone, limits)
    weights = None if facts.get("weights") is None else np.array(facts["weights"], dtype=np.float64)
    largest = max(chance, float(facts.get("largest_class", 0.0)))
    families = {network.name: network.family for network in networks}
    front = build_front(
        networks,
        backbone,
        limits,
        largest_class=largest if weights is None else chance,
        weights=weights,
        costs=settings.search.costs,
        robustness=settings.search.robustness,
    )
    points = [item.point for item in front]
    areas = {each.name: area_over(each.name, points, backbone, chance) for each in costs}
    return StudyResults(
        name=name,
        storage=database.label,
        task=str(facts["task"]),
        device=str(facts["device"]),
        classes=classes,
        backbone=backbone,
        settings=settings,
        trials=tuple(records),
        baselines=_baselines(networks, held),
        front=front,
        hypervolumes={name: area for name, area in areas.items() if area is not None},
        costs=costs,
        at_shares={share: best_within(front, share) for share in SHARES},
        networks=tuple(networks),
        comparisons=compare(held, [families[item.name] for item in held], weights),
        weights=None if weights is None else tuple(weights.tolist()),
        samples=int(facts.get("validation_samples", 0)),
        largest_class=largest,
        warnings=tuple(map(str, facts.get("warnings", ()))),
        latency=_latency(facts),
        latency_profile=facts.get("latency_profile"),
        profile=_profile(facts),
        workers=tuple(each for each in WorkerRecords(database).list(name) if is_alive(each)),
    )


def _latency(facts: Mapping[str, Any]) -> Latency | None:
    table = facts.get("profile", {}).get("total_latency")
    return None if table is None else Latency.from_table(table, key="profile.total_latency")


def _profile(facts: Mapping[str, Any]) -> Profile | None:
    """Return the profile of the backbone, or None if another version wrote less of it: only `tiers` needs it whole."""
    try:
        return Profile.from_table(facts["profile"], key="profile")
    except (KeyError, MeasurementError):
        return None


def code_folder(record: StudyRecord) -> Path | None:
    """Return the folder for relative paths such as `./file.py` in the settings of a study, or None."""
    folder = record.facts.get("folder")
    return Path(folder) if folder else None


def cost_facts(facts: Mapping[str, Any], backbone: BackboneFacts) -> tuple[CostFacts, ...]:
    """Return the descriptions of the costs of a study. Old records without them use those of KNOWN."""
    if "costs" in facts:
        return tuple(from_table(CostFacts, each, key="costs") for each in facts["costs"])
    return tuple(KNOWN[name] for name in backbone.costs)


def _baselines(networks: Sequence[KnownNetwork], held: Sequence[FrontPoint]) -> tuple[Baseline, ...]:
    """Return the points of baselines within the limits, grouped by kind, or by name for placement by hand."""
    known = {network.name: network for network in networks}
    found: dict[str, list[OperatingPoint]] = {}
    for item in held:
        network = known[item.name]
        if network.family != "search":
            name = network.origin.removeprefix("known: ") or network.family
            name += ", frozen" if network.origin and network.kind == "frozen" else ""
            found.setdefault(BACKBONE if network.kind == "plain" else name, []).append(item.point)
    return tuple(Baseline(name=name, points=tuple(points)) for name, points in found.items())

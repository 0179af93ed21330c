"""A study read back from the database: trials, baselines and the front, as frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eenas.designs.design import Design
from eenas.designs.space import load_families
from eenas.errors import StudyError, nearest
from eenas.fronts.choice import knee
from eenas.fronts.dominance import pareto_mask
from eenas.fronts.hypervolume import hypervolume
from eenas.measurement.latency import Latency
from eenas.policies.operating_point import OperatingPoint
from eenas.records.database import Database
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.search.config import StudySpec
from eenas.search.held_out import as_searched
from eenas.search.results import BackboneFacts, Baseline, FrontPoint, StudyResults, TrialResult
from eenas.specs import from_table

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The shares of the backbone's MACs at which accuracies are compared."""
REFERENCE_COST = 1.1


def open_results(storage: str, name: str | None = None, *, trust_code: bool = False) -> StudyResults:
    """The results of the study `name` in `storage`, or of the newest study there.

    A study whose space names branches of the user's own code is read only with `trust_code`. Raises StorageError when
    the storage cannot be read, StudyError when there is no such study, PluginError for code that is not trusted.
    """
    database = Database(storage, create=False)
    return read_results(database, study_record(database, name).name, trust_code=trust_code)


def study_record(database: Database, name: str | None) -> StudyRecord:
    """The record of one study: the named one, or the newest."""
    known = StudyRecords(database).list()
    if not known:
        raise StudyError(f"{database.label}: holds no study of eenas; run `eenas search --backbone NAME` first")
    if name is None:
        return max(known, key=lambda record: record.created)
    for record in known:
        if record.name == name:
            return record
    names = [record.name for record in known]
    raise StudyError(f"{database.label}: has no study {name!r}; {nearest(name, names)}")


def read_results(database: Database, name: str, *, trust_code: bool = False) -> StudyResults:
    """Everything that is known about the study `name`; `trust_code` as in `open_results`."""
    record = study_record(database, name)
    facts = record.facts
    settings = as_searched(from_table(StudySpec, record.settings))
    load_families(settings.space, trust_code=trust_code, relative_to=code_folder(record))
    backbone = from_table(BackboneFacts, facts["backbone"])
    classes = tuple(facts["classes"])
    trials = tuple(_trial(trial) for trial in TrialRecords(database).list(name))
    front = build_front(trials, backbone)
    searched = [entry.point for entry in front]
    baselines = (*_baselines(record), *_hand_placed(trials))
    chance = 1.0 / len(classes)
    return StudyResults(
        name=name,
        storage=database.label,
        task=facts["task"],
        device=facts["device"],
        classes=classes,
        backbone=backbone,
        settings=settings,
        trials=trials,
        baselines=baselines,
        front=front,
        hypervolume_macs=area_by_macs(searched, backbone, chance),
        hypervolume_latency=area_by_latency(searched, backbone, chance),
        at_shares={share: best_within(front, share) for share in SHARES},
        beats_baselines=_beats(searched, baselines, backbone, chance),
        latency=_latency(facts),
        latency_profile=facts.get("latency_profile"),
        warnings=tuple(facts.get("warnings", ())),
    )


def _latency(facts: Mapping[str, Any]) -> Latency | None:
    table = facts.get("profile", {}).get("total_latency")
    return None if table is None else Latency.from_table(table, key="profile.total_latency")


def code_folder(record: StudyRecord) -> Path | None:
    """The folder that a `./file.py` in a study's settings is relative to."""
    folder = record.facts.get("folder")
    return Path(folder) if folder else None


def build_front(trials: Sequence[TrialResult], backbone: BackboneFacts) -> tuple[FrontPoint, ...]:
    """The points of feasible trials that none dominates in accuracy, expected MACs and latency; the knee is marked.

    Dominance is over accuracy, MACs and latency; where latency was not measured it is the same for all.
    """
    pairs = [(trial, point) for trial in trials if trial.feasible for point in trial.points]
    if not pairs:
        return ()
    values = [(point.accuracy, point.expected_macs, point.expected_latency_ms or 0.0) for _, point in pairs]
    mask = pareto_mask(np.array(values, dtype=np.float64), (True, False, False))
    found = []
    seen: set[tuple[float, ...]] = set()
    for (trial, point), kept, value in zip(pairs, mask, values, strict=True):
        if not kept or value in seen or trial.design is None:
            continue
        seen.add(value)
        latency = point.expected_latency_ms
        share = None if latency is None or not backbone.latency_ms else latency / backbone.latency_ms
        found.append(
            FrontPoint(
                trial=trial.number,
                design=trial.design,
                point=point,
                macs_share=point.expected_macs / backbone.macs,
                latency_share=share,
            )
        )
    found.sort(key=lambda entry: (-entry.point.accuracy, entry.point.expected_macs))
    best = knee(np.array([f.point.accuracy for f in found]), np.array([f.macs_share for f in found]))
    return tuple(replace(entry, knee=index == best) for index, entry in enumerate(found))


def best_within(front: Sequence[FrontPoint], share: float) -> FrontPoint | None:
    """The most accurate point of the front whose expected MACs are at most `share` of the backbone's."""
    return max(
        (entry for entry in front if entry.macs_share <= share + 1e-9),
        key=lambda entry: entry.point.accuracy,
        default=None,
    )


def area_by_macs(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float:
    """Hypervolume of accuracy over the share of the backbone's MACs, from (1.1, chance)."""
    return _area([p.accuracy for p in points], [p.expected_macs / backbone.macs for p in points], chance)


def area_by_latency(points: Sequence[OperatingPoint], backbone: BackboneFacts, chance: float) -> float | None:
    """Hypervolume of accuracy over the share of the backbone's latency; None where latency was not measured."""
    unit = backbone.latency_ms
    timed = [(p.accuracy, p.expected_latency_ms / unit) for p in points if p.expected_latency_ms is not None and unit]
    if not unit or len(timed) < len(points):
        return None
    return _area([accuracy for accuracy, _ in timed], [share for _, share in timed], chance)


def _area(accuracy: Sequence[float], shares: Sequence[float], chance: float) -> float:
    if not accuracy:
        return 0.0
    return hypervolume(np.array(accuracy), np.array(shares), reference_cost=REFERENCE_COST, reference_accuracy=chance)


def _trial(record: TrialRecord) -> TrialResult:
    violations = tuple(f"{key} by {value:g}" for key, value in record.violations.items() if value > 0)
    return TrialResult(
        number=record.number,
        state=record.state,
        origin=record.origin,
        design=Design.from_table(record.design, key=f"trial {record.number}") if record.design else None,
        points=tuple(OperatingPoint.from_table(point) for point in record.points),
        chosen=OperatingPoint.from_table(record.chosen) if record.chosen else None,
        values=record.values,
        exit_accuracy=tuple(record.exit_accuracy),
        frozen_points=tuple(OperatingPoint.from_table(point) for point in record.frozen_points),
        feasible=record.state not in ("failed", "infeasible") and not violations,
        violations=violations,
        reason=record.reason,
        seconds=record.seconds,
        samples=record.samples,
        artifacts=record.artifacts,
    )


def _baselines(record: StudyRecord) -> tuple[Baseline, ...]:
    return tuple(
        Baseline(name=name, points=tuple(OperatingPoint.from_table(point) for point in points))
        for name, points in record.baselines.items()
    )


def _hand_placed(trials: Sequence[TrialResult]) -> tuple[Baseline, ...]:
    """The known designs with uniform placement are trials of the study, and its hand-placed baselines."""
    prefix = "known: uniform"
    return tuple(
        Baseline(name=trial.origin.removeprefix("known: "), points=trial.points)
        for trial in trials
        if trial.origin.startswith(prefix) and trial.points
    )


def _beats(
    points: Sequence[OperatingPoint], baselines: Sequence[Baseline], backbone: BackboneFacts, chance: float
) -> bool:
    """Whether the front's area is larger than that of all baselines together (they count in the front, too)."""
    together = [point for baseline in baselines for point in baseline.points]
    return area_by_macs(points, backbone, chance) > area_by_macs(together, backbone, chance) + 1e-9

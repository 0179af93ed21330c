"""The fidelity of a study's brief scores: some of its networks are trained for longer, and the scores are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from eenas.errors import DivergedError, PolicyError, StorageError, StudyError, plural
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.progress import Notice, notices_to
from eenas.records.database import Database
from eenas.records.read_only import writable_storage
from eenas.records.studies import StudyRecord
from eenas.records.trials import TrialRecord
from eenas.results.read import read_results, study_record
from eenas.results.results import StudyResults
from eenas.runs.fidelity_measures import FidelityMeasure, FidelityNetwork, compare
from eenas.runs.longer_training import train_longer
from eenas.runs.network_scores import NetworkScores, score_network
from eenas.runs.rank_correlation import MIN_NETWORKS
from eenas.runs.searched_study import SearchedStudy
from eenas.specs import from_table
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.reference import STORAGE, StudyOptions, StudyReference, referred
from eenas.study.settings.study_spec import BUDGETS, StudySpec, override, readable
from eenas.study.trials.design_training import inherits, network_digest
from eenas.training.spec import TrainingSpec

DESIGNS, EPOCHS = 20, 10.0
"""The default number of networks, and the default epochs of their longer training."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """The scores of networks of a study before and after longer training, in the order of their brief hypervolume.

    `offered` is the number of networks that the study trained to the end. `diverged` are trials whose network had a
    non-finite loss in the longer training; they are in no other number.
    """

    study: str
    storage: str
    task: str
    device: str
    brief_training: TrainingSpec
    full_training: TrainingSpec
    offered: int
    networks: tuple[FidelityNetwork, ...]
    measures: tuple[FidelityMeasure, ...]
    diverged: tuple[int, ...]


def measure_fidelity(
    study: StudyReference | str = STORAGE,
    *,
    designs: int = DESIGNS,
    epochs: float | None = None,
    samples: int | None = None,
    device: str = "auto",
    overrides: Sequence[str] = (),
    **options: Unpack[StudyOptions],
) -> Fidelity:
    """Train networks of a study as in its trials, but for `epochs` (default 10) or `samples`, and compare the scores.

    `study` is a reference or the storage, and `options` are the fields of a `StudyReference`. At most `designs` of the
    networks that the study trained to the end are used, evenly spaced by brief hypervolume and including the worst and
    the best. Results are stored and interrupted trainings have a checkpoint, so the same call resumes. `overrides` may
    change `training.*` of the longer training, except the budget.

    Raises StudyError for fewer than three networks, for a budget that is not positive, and if data or backbone differ
    from those of the study.
    """
    if designs < MIN_NETWORKS:
        raise StudyError(f"designs must be at least {MIN_NETWORKS} for a rank correlation, got {designs}")
    if epochs is None and samples is None:
        epochs = EPOCHS
    _check_budget(epochs, samples)
    asked = referred(study, options)
    database = Database(asked.storage, create=False)
    record = study_record(database, asked.name)
    results = read_results(database, record.name, trust_code=asked.trust_code)
    spec = _longer_spec(record, overrides, epochs, samples)
    trials = _trained_to_the_end(results)
    if len(trials) < MIN_NETWORKS:
        raise StudyError(
            f"{record.name!r}: a rank correlation needs at least {MIN_NETWORKS} networks with branches trained to the "
            f"end, got {len(trials)}; run `eenas search` for more trials"
        )
    listener = asked.listener
    with (
        notices_to(listener),
        writable_storage(asked.storage, asked.artifacts, trust_code=asked.trust_code) as (place, kept),
    ):
        searched = SearchedStudy(
            reference=asked, database=database, record=record, results=results, settings=results.settings
        ).with_data()
        context = searched.make_context(place, kept, device=device)
        scored = _brief_scores(trials, results, context)
        if len(scored) < designs:
            listener(
                Notice(f"{results.name} has {len(scored)} networks trained to the end, not {designs}; all are used")
            )
        _check_longer(spec, context)
        networks, diverged = _train(_spread(scored, designs), prepare_backbone(context), results, spec)
        return Fidelity(
            study=results.name,
            storage=results.storage,
            task=results.task,
            device=context.device_text,
            brief_training=results.settings.training,
            full_training=spec,
            offered=len(trials),
            networks=networks,
            measures=compare(networks),
            diverged=diverged,
        )


def _check_budget(epochs: float | None, samples: int | None) -> None:
    if epochs is not None and samples is not None:
        raise StudyError(
            f"the budget must be epochs or samples, got {epochs:g} epochs and {plural(samples, 'sample')}; give one"
        )
    for unit, value in (("epochs", epochs), ("samples", samples)):
        if value is not None and not 0 < value < float("inf"):
            raise StudyError(f"the budget must be positive, got {unit}={value:g}; the default is epochs={EPOCHS:g}")


def _longer_spec(
    record: StudyRecord, overrides: Sequence[str], epochs: float | None, samples: int | None
) -> TrainingSpec:
    """Return the training settings of the trials, with overrides and the larger budget."""
    table = readable(record.settings)
    for assignment in overrides:
        names = [name.strip() for name in assignment.partition("=")[0].split(".")]
        if names[0] != "training" or len(names) < 2:
            raise StudyError(f"--set {assignment}: only training.* of the longer training can be changed; leave it out")
        if names[1] in BUDGETS:
            raise StudyError(f"--set {assignment}: set the budget of the longer training by --epochs or --samples")
        table = override(table, assignment)
    spec = from_table(StudySpec, table, file="--set" if overrides else "").training
    return replace(spec, epochs=None if epochs is None else float(epochs), samples=samples, seconds=None)


def _trained_to_the_end(results: StudyResults) -> list[TrialRecord]:
    """Return the trials that trained a network with branches to the end, one for each network."""
    found: dict[str, TrialRecord] = {}
    for trial in results.trials:
        if trial.state == "complete" and trial.design is not None and trial.design.branches:
            found.setdefault(network_digest(trial.design), trial)
    return list(found.values())


def _brief_scores(
    trials: Sequence[TrialRecord], results: StudyResults, context: StudyContext
) -> list[tuple[TrialRecord, NetworkScores]]:
    """Return the trials with the brief scores of their stored exit tables, sorted by hypervolume, the worst first."""
    scored, lost = [], []
    for trial in trials:
        tables = _tables(trial, context)
        if tables is None:
            lost.append(trial.number)
        else:
            scored.append((trial, score_network(tables, results.backbone)))
    if lost:
        reason = f"exit tables of trials {lost} are missing or damaged in {context.artifacts.label}; check --artifacts"
        if len(scored) < MIN_NETWORKS:
            raise StudyError(reason)
        context.listener(Notice(f"left out: {reason}"))
    return sorted(scored, key=lambda pair: (pair[1].hypervolume, pair[0].number))


def _tables(trial: TrialRecord, context: StudyContext) -> dict[str, ExitTable] | None:
    try:
        return {
            split: load_exit_table(context.artifacts.path(trial.artifacts[split]))
            for split in ("calibration", "validation")
        }
    except (KeyError, PolicyError, StorageError):
        return None


def _spread(scored: Sequence[tuple[TrialRecord, NetworkScores]], limit: int) -> list[tuple[TrialRecord, NetworkScores]]:
    """Return at most `limit` trials, evenly spaced in order, including the first and the last."""
    ranks = np.linspace(0, len(scored) - 1, min(limit, len(scored))).round().astype(int)
    return [scored[rank] for rank in ranks]


def _check_longer(spec: TrainingSpec, context: StudyContext) -> None:
    size, brief = len(context.task.train), context.settings.training
    if brief.seconds is not None:
        return
    before, now = ((each.samples or size * (each.epochs or 0.0)) for each in (brief, spec))
    if now <= before:
        context.listener(
            Notice(f"the longer training has {now:g} samples, but the trials had {before:g}; give it more")
        )


def _train(
    chosen: Sequence[tuple[TrialRecord, NetworkScores]],
    context: StudyContext,
    results: StudyResults,
    spec: TrainingSpec,
) -> tuple[tuple[FidelityNetwork, ...], tuple[int, ...]]:
    """Return the networks after longer training, and the trials whose network diverged."""
    bank, uses_bank = Bank(context), context.settings.bank.use
    networks, diverged = [], []
    for number, (trial, brief) in enumerate(chosen, start=1):
        design = trial.design
        assert design is not None
        costs = context.costs(design)
        phase = f"training trial {trial.number} longer ({number} of {len(chosen)})"
        try:
            longer = train_longer(design, context, costs, bank=bank, spec=spec, backbone=results.backbone, phase=phase)
        except DivergedError as error:
            context.listener(Notice(f"trial {trial.number} is left out: {error}"))
            diverged.append(trial.number)
            continue
        frozen = bank.exit_tables(design, costs) if uses_bank and inherits(design) else None
        networks.append(
            FidelityNetwork(
                trial=trial.number,
                design=design.label(),
                brief=brief,
                frozen=None if frozen is None else score_network(frozen, results.backbone),
                full=longer.scores,
                samples=longer.samples,
                seconds=longer.seconds,
            )
        )
    if len(networks) < MIN_NETWORKS:
        raise StudyError(
            f"{len(diverged)} of {len(chosen)} networks diverged in the longer training, but a rank correlation needs "
            f"{MIN_NETWORKS}; give more --designs or fewer --epochs"
        )
    return tuple(networks), tuple(diverged)

"""Opening a study: the first worker prepares everything that all trials share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from optuna.trial import TrialState

from eenas.errors import StudyError
from eenas.measurement.node import NODE
from eenas.names import check_name
from eenas.progress import Notice
from eenas.records.claims import Claims
from eenas.records.database import Database
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.records.studies import MARK, StudyRecord, StudyRecords
from eenas.specs import digest, to_table
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.bank import Bank
from eenas.study.context.data_changes import ACCEPT, DATA, changed_since, keep_contents
from eenas.study.context.recognition import prepare_recognition
from eenas.study.context.study_context import StudyContext
from eenas.study.context.study_warnings import guessing_teacher, seen_samples
from eenas.study.refusals import another_search
from eenas.study.rivals.baselines import measure_baselines
from eenas.study.rivals.frozen_front import FrozenFront, lay_bank
from eenas.study.rivals.plain_tables import OF_BACKBONE, reuse_plain_tables
from eenas.study.settings.identity import default_name, differences, differs_from, sampler_name, study_identity
from eenas.study.study import open_storage, open_study
from eenas.study.trials.first_trials import enqueue_first
from eenas.study.trials.recovery import Recovery


@dataclass(frozen=True)
class OpenStudy:
    """A study ready for trials: the prepared study context, Optuna's study, the bank and the frozen front."""

    name: str
    context: StudyContext
    study: optuna.Study
    bank: Bank
    front: FrozenFront
    token: str
    recovery: Recovery
    claims: Claims

    def check(self) -> None:
        """Raise StudyError if the study was deleted since it was opened."""
        if not StudyRecords(self.context.database).is_current(self.name, self.token):
            raise StudyError(f"the study {self.name!r} was deleted while it ran; rerun the command to start it again")


def own_name(context: StudyContext, name: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name and identity of the study. Raises StudyError if a study with another identity has the name."""
    identity = study_identity(
        context.settings,
        context.task,
        context.identity_backbone,
        context.device_text,
        context.latencies,
        context.own_costs,
        context.tiers,
    )
    if context.sampler is not None:
        identity["sampler"] = sampler_name(context.sampler)
    records, is_named = StudyRecords(context.database), name is not None
    name = _unnamed(records, identity, context.task.name) if name is None else check_name(name, "a study")
    known = records.get(name)
    if known is not None and differences(identity, known.identity):
        raise another_search(name, differs_from(context, identity, known))
    if known is not None and (other := _measured_elsewhere(context, known)):
        raise StudyError(other)
    if known is None and not is_named:
        alike = [each for each in records.list() if _is_alike(each, identity, context.task.name)]
        if alike:
            nearest = min(reversed(alike), key=lambda each: len(differences(identity, each.identity)))
            context.listener(Notice(f"{name} is a new study; {_differing(context, identity, nearest)}"))
    return name, identity


def _measured_elsewhere(context: StudyContext, record: StudyRecord) -> str:
    """Return an error for a study whose latencies were measured on another node than those of `context`, or ""."""
    latency = context.profile.total_latency
    table = record.facts.get("profile", {}).get("total_latency") or {}
    here, there = "" if latency is None else latency.node, str(table.get("node", ""))
    if not (here and there) or here == there:
        return ""
    return (
        f"the latencies of the study {record.name!r} were measured on the node {there!r}, those in this storage now on "
        f"{here!r}; set {NODE}={there} if it is the same machine, or give another --name"
    )


def _unnamed(records: StudyRecords, identity: dict[str, Any], task: str) -> str:
    """Return the default name of a study: of a stored study with equal identity, if any, else from its digest.

    Equal identities may have different digests, as 1 and 1.0 epochs do.
    """
    for each in records.list():
        if not differences(identity, each.identity) and each.name == default_name(each.identity, task):
            return each.name
    return default_name(identity, task)


def _differing(context: StudyContext, identity: dict[str, Any], record: StudyRecord) -> str:
    """Return a text on how a study differs from an earlier one.

    If only the data at the same place changed, the text says how to continue the earlier one.
    """
    same_place = record.settings.get("task", {}).get("spec") == context.settings.task.spec
    if same_place and differences(identity, record.identity) == ["task"]:
        text = changed_since(record, context.task, context.artifacts)
        if text is not None:
            return f"{text}; --name {record.name} {ACCEPT} continues that study if its results still hold"
    return f"it differs from {record.name}: {differs_from(context, identity, record)}"


def _is_alike(record: StudyRecord, identity: dict[str, Any], task: str) -> bool:
    """Whether a study has the same names of backbone and task."""
    return record.identity.get("backbone_name") == identity["backbone_name"] and record.facts.get("task") == task


def open_shared(
    context: StudyContext,
    name: str,
    identity: dict[str, Any],
    folder: Path | None,
    is_steady: Callable[[], bool] = lambda: True,
) -> OpenStudy:
    """Open the study. Missing parts (backbone, bank, baselines, first trials) are made now.

    If several workers start at once, one makes them and the others wait until it has. `is_steady` is that of
    `Recovery`.
    """
    return context.leases.once(
        f"study/{name}",
        "preparing what the trials share",
        lambda: _open(context, name, identity, folder, is_steady),
        is_made=lambda: _is_open(context.database, name),
    )


def _is_open(database: Database, name: str) -> bool:
    """Whether another worker has opened the whole study: then it has taken its first trial."""
    records = StudyRecords(database)
    token = records.token(name)
    return token is not None and records.is_current(name, token) and Claims(database, name).begun()


def _open(
    context: StudyContext, name: str, identity: dict[str, Any], folder: Path | None, is_steady: Callable[[], bool]
) -> OpenStudy:
    records = StudyRecords(context.database)
    if records.delete_orphaned(name):
        context.listener(Notice(f"the study {name!r} was deleted in Optuna; it starts again"))
    StudyArtifacts(context.database, name, context.artifacts.objects).keep(context.listener)
    known = records.get(name)
    context = _prepared(context, known)
    study = open_study(open_storage(context.database), name, context.settings, context.sampler)
    facts = {**context.facts_table(folder), OF_BACKBONE: context.backbone.digest}
    facts[DATA] = keep_contents(context.task, known, context.artifacts)
    if known is not None and not differences(identity, known.identity):
        identity = known.identity  # the stored form determines the digest
    record = StudyRecord(
        name=name,
        identity=identity,
        identity_digest=digest(identity),
        settings=to_table(context.settings),
        facts=facts,
    )
    token = records.token(name) or uuid4().hex
    study._storage.set_study_system_attr(study._study_id, MARK, token)
    records.save(record)
    records.save_token(name, token)
    claims = Claims(context.database, name)
    claims.sync()
    recovery = Recovery(study, context.database, context.in_flight, context.listener, is_steady)
    recovery.run()
    bank = Bank(context)
    front = lay_bank(context, bank)
    measure_baselines(context, name, bank, front)
    if all(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False)):
        enqueue_first(study, context, bank, front, identity)
    return OpenStudy(name, context, study, bank, front, token, recovery, claims)


def _prepared(context: StudyContext, known: StudyRecord | None) -> StudyContext:
    """Return the study context with a prepared backbone and with warnings about misleading results."""
    reuse_plain_tables(context, known)
    seen, remark = seen_samples(context)
    prepared = prepare_backbone(context)
    reuse_plain_tables(prepared, known)
    prepare_recognition(prepared)
    warnings = tuple(text for text in (seen, guessing_teacher(prepared)) if text)
    for text in (*((remark,) if remark else ()), *(f"warning: {text}" for text in warnings)):
        context.listener(Notice(text))
    return replace(prepared, warnings=warnings)

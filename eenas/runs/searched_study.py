"""A searched study, opened again: its data are checked, and the context of its trials is rebuilt."""

from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from eenas.errors import StudyError
from eenas.progress import Notice
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.stores.places import ArtifactPlace
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.records.studies import StudyRecord
from eenas.results.read import code_folder
from eenas.results.results import StudyResults
from eenas.specs import to_table
from eenas.study.context.data_changes import same_data
from eenas.study.context.latencies import kept_latencies
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.settings.identity import (
    DESCRIPTIONS,
    describe_differences,
    differences,
    study_identity,
    with_space_settings,
)
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import StudySpec
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class SearchedStudy:
    """A study in `database` with its results, and the `reference` by which it was opened.

    `settings` are those of the study with the overrides of this command.
    """

    reference: StudyReference
    database: Database
    record: StudyRecord
    results: StudyResults
    settings: StudySpec

    def with_data(self) -> Self:
        """Return the study with its task loaded.

        Raises StudyError if the data or objects differ from those of the search.
        """

        def load(spec: TaskSpec) -> Task:
            if study.task is not None:
                return study.task
            return load_task(spec, trust_code=study.trust_code, relative_to=code_folder(self.record))

        study = self.reference
        store = ArtifactStore.beside(study.storage, study.artifacts, create=False, trust_code=study.trust_code)
        StudyArtifacts(self.database, self.record.name, store.objects).check()
        accept, listener = study.accept_changed_data, study.listener
        task, spec = same_data(self.record, store, self.settings.task, load, accept=accept, listener=listener)
        check_objects(self.results, self.record, task, study.backbone)
        return replace(self, reference=replace(study, task=task), settings=replace(self.settings, task=spec))

    def make_context(self, storage: str, artifacts: ArtifactPlace | None, *, device: str) -> StudyContext:
        """Return the context of its trials on `device`. New measurements and weights are kept in `storage`.

        Raises StudyError if the context differs from that of the search, and the errors of
        `study_context.make_context`.
        """
        context = make_context(
            self.settings,
            replace(self.reference, storage=storage, artifacts=artifacts),
            device=device,
            folder=code_folder(self.record),
            latencies=kept_latencies(self.database, self.record),
        )
        check_context(context, self.record)
        return context


def check_objects(results: StudyResults, record: StudyRecord, task: Task, backbone: nn.Module | None) -> None:
    """Raise StudyError, before any training or measurement, if the data changed or an object was not given again."""
    own = results.backbone.weights == "own"
    if own and backbone is None:
        name = results.backbone.name.removeprefix("module:")
        raise StudyError(
            f"{results.name!r} was searched with a module ({name}); give the module again as backbone= in Python"
        )
    if not own and backbone is not None:
        raise StudyError(f"{results.name!r} was searched with {results.backbone.name}; leave backbone out")
    if task.digest != record.identity["task"]:
        raise _changed(DESCRIPTIONS["task"], results.name)


def check_context(context: StudyContext, record: StudyRecord) -> None:
    """Raise StudyError for a context that differs from the study's. Another device causes a notice only."""
    now = study_identity(
        context.settings,
        context.task,
        context.identity_backbone,
        context.device_text,
        context.latencies,
        context.own_costs,
        context.tiers,
    )
    changed = [key for key in differences(now, record.identity) if key not in ("device", "latency")]
    if changed:
        here, there = (
            with_space_settings(now, to_table(context.settings)),
            with_space_settings(record.identity, record.settings),
        )
        raise _changed(describe_differences(changed, here, there), record.name)
    if now["device"] != record.identity.get("device"):
        before = record.identity.get("device")
        context.listener(
            Notice(f"the study was searched on {before}, and is now trained and measured on {now['device']}")
        )


def _changed(changes: str, study: str) -> StudyError:
    return StudyError(f"{changes} changed since the study {study!r} was searched; restore it, or search again")

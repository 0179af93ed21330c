"""A study that was searched, opened again: its data are checked and the ground of its trials is laid once more."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from torch import nn

from eenas.progress import Listener
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.studies import StudyRecord
from eenas.results.read import code_folder
from eenas.results.results import StudyResults
from eenas.study.context.data_changes import same_data
from eenas.study.context.latencies import kept_latencies
from eenas.study.context.study_context import Ground, lay_ground
from eenas.study.settings.identity import check_ground, check_objects
from eenas.study.settings.study_spec import StudySpec
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class SearchedStudy:
    """A study in `database` with its results, and what the caller repeats of the search.

    `settings` are the study's, with what this command overrides. `backbone` and `task` are objects that were given to
    `search`, None where it was given names.
    """

    database: Database
    record: StudyRecord
    results: StudyResults
    settings: StudySpec
    backbone: nn.Module | None
    task: Task | None
    trust_code: bool
    listener: Listener

    def with_data(self, storage: str, artifacts: Path | None, *, accept: bool) -> Self:
        """The study with its task loaded; `accept` is `accept_changed_data` of `search`.

        Raises StudyError where data or objects are not those of the search.
        """

        def load(spec: TaskSpec) -> Task:
            if self.task is not None:
                return self.task
            return load_task(spec, trust_code=self.trust_code, relative_to=code_folder(self.record))

        store = ArtifactStore.beside(storage, artifacts, create=False)
        task, spec = same_data(self.record, store, self.settings.task, load, accept=accept, listener=self.listener)
        check_objects(self.results, self.record, task, self.backbone)
        return replace(self, task=task, settings=replace(self.settings, task=spec))

    def lay_ground(self, storage: str, artifacts: Path | None, *, device: str) -> Ground:
        """The ground of its trials on `device`, with what is measured or trained now kept in `storage`.

        Raises StudyError where it is not the ground that was searched on, and what `preparation.lay_ground` raises.
        """
        ground = lay_ground(
            self.settings,
            storage=storage,
            artifacts=artifacts,
            device=device,
            module=self.backbone,
            task=self.task,
            folder=code_folder(self.record),
            trust_code=self.trust_code,
            listener=self.listener,
            latencies=kept_latencies(self.database, self.record),
        )
        check_ground(ground, self.record)
        return ground

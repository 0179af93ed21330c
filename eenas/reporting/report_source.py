"""What a report is made from: a study's results, its record, and what is read only when a panel asks for it."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from eenas.errors import StorageError
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.reporting.picked import Picked, load_picked
from eenas.search.read import code_folder, read_results, study_record
from eenas.search.results import StudyResults
from eenas.tasks.load import load_task
from eenas.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class ReportSource:
    """A study as a report sees it. The three functions may raise an EenasError, which a panel then shows.

    `facts` is what the study's record says of its ground, `created` when it began (ISO 8601, UTC). `picked` gives the
    recommended design with its exit tables, `task` the data, `trials` Optuna's trials.
    """

    results: StudyResults
    facts: Mapping[str, Any]
    created: str
    picked: Callable[[], Picked]
    task: Callable[[], Task]
    trials: Callable[[], Sequence[FrozenTrial]]

    @property
    def cut_point_macs(self) -> dict[str, int]:
        """The backbone's MACs up to each of its cut points, in depth order."""
        profile = self.facts["profile"]
        names = [point["name"] for point in profile["cut_points"]]
        return dict(zip(names, profile["macs"], strict=True))


def open_source(
    storage: str, name: str | None = None, *, artifacts: Path | None = None, trust_code: bool = False
) -> ReportSource:
    """The study `name` in `storage`, or the newest one there; `artifacts` is by default beside an SQLite file.

    Raises StorageError, StudyError and PluginError as `open_results` does, StorageError for `artifacts` that are no
    folder.
    """
    database = Database(storage, create=False)
    record = study_record(database, name)
    results = read_results(database, record.name, trust_code=trust_code)
    if artifacts is not None and not artifacts.is_dir():
        raise StorageError(f"{artifacts}: no such folder; give the --artifacts of the search")

    @functools.cache
    def picked() -> Picked:
        return load_picked(results, ArtifactStore.beside(storage, artifacts).root)

    @functools.cache
    def task() -> Task:
        return load_task(results.settings.task, trust_code=trust_code, relative_to=code_folder(record))

    @functools.cache
    def trials() -> Sequence[FrozenTrial]:
        try:
            kept = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
            return optuna.load_study(study_name=record.name, storage=kept).get_trials(deepcopy=False)
        except Exception as error:  # SQLAlchemy, alembic and drivers each have their own
            raise database.trouble(error) from error

    return ReportSource(
        results=results, facts=record.facts, created=record.created, picked=picked, task=task, trials=trials
    )

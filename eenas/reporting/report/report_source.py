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
from eenas.reporting.facts.picked import Picked, drawn_item, load_picked
from eenas.reporting.facts.runs import RUNS, runs_of
from eenas.results.choice import Choice
from eenas.results.read import code_folder, read_results, study_record
from eenas.results.results import StudyResults
from eenas.runs.run_report import RunReport
from eenas.study.rivals.offered_points import FrontPoint
from eenas.tasks.load import load_task
from eenas.tasks.task import Task

PAGE = "report"
"""The page that is made where none is named."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report was asked for beside a study, as far as it was: its commands say it again.

    `choice` says which design is drawn (by default the recommended one), `artifacts` where exit tables are, `runs`
    where fully trained networks are, `page` which panels there are.
    """

    choice: Choice | None = None
    artifacts: Path | None = None
    runs: Path | None = None
    page: str = PAGE
    trust_code: bool = False


USUAL = Asked()
"""A report for which nothing was asked."""


@dataclass(frozen=True, kw_only=True)
class ReportSource:
    """A study as a report sees it. The four functions may raise an EenasError, which a panel then shows.

    `facts` is what the study's record says of its context, `created` when it began (ISO 8601, UTC). `item` is the
    point that is drawn (None: there is none), `picked` gives it with its exit tables, `task` the data, `trials`
    Optuna's trials, `runs` the study's fully trained networks.
    """

    results: StudyResults
    facts: Mapping[str, Any]
    created: str
    item: FrontPoint | None
    picked: Callable[[], Picked]
    task: Callable[[], Task]
    trials: Callable[[], Sequence[FrozenTrial]]
    runs: Callable[[], Sequence[RunReport]]
    asked: Asked = USUAL

    @property
    def cut_point_macs(self) -> dict[str, int]:
        """The backbone's MACs up to each of its cut points, in depth order."""
        profile = self.facts["profile"]
        names = [point["name"] for point in profile["cut_points"]]
        return dict(zip(names, profile["macs"], strict=True))


def open_source(storage: str, name: str | None = None, asked: Asked = USUAL) -> ReportSource:
    """The study `name` in `storage`, or the newest one there.

    Artifacts are by default beside an SQLite file, runs in `runs`. Raises StorageError, StudyError and PluginError as
    `open_results` does, FrontError and StudyError for a choice that nothing holds, StorageError for folders that are
    none.
    """
    artifacts, trust_code = asked.artifacts, asked.trust_code
    database = Database(storage, create=False)
    record = study_record(database, name)
    results = read_results(database, record.name, trust_code=trust_code)
    if artifacts is not None and not artifacts.is_dir():
        raise StorageError(f"{artifacts}: no such folder; give the --artifacts of the search")
    if asked.runs is not None and not asked.runs.is_dir():
        raise StorageError(f"{asked.runs}: no such folder; give the one that holds the runs of `eenas train`, or a run")
    item = drawn_item(results, asked.choice)

    @functools.cache
    def picked() -> Picked:
        return load_picked(results, item, ArtifactStore.beside(storage, artifacts, create=False).root)

    @functools.cache
    def task() -> Task:
        return load_task(results.settings.task, trust_code=trust_code, relative_to=code_folder(record))

    @functools.cache
    def trials() -> Sequence[FrozenTrial]:
        try:
            kept = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
            return optuna.load_study(study_name=record.name, storage=kept).get_trials(deepcopy=False)
        except Exception as error:  # SQLAlchemy, alembic and drivers each have their own
            raise database.to_storage_error(error) from error

    @functools.cache
    def runs() -> Sequence[RunReport]:
        return runs_of(record, asked.runs or RUNS, trust_code=trust_code)

    return ReportSource(
        results=results,
        facts=record.facts,
        created=record.created,
        item=item,
        picked=picked,
        task=task,
        trials=trials,
        runs=runs,
        asked=asked,
    )

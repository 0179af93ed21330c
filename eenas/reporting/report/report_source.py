"""The data of a report: a study's results and record, and data that is read only when a panel needs it."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from eenas.errors import StorageError
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.contexts.context_scores import ContextScores
from eenas.records.artifacts import existing_store
from eenas.records.database import Database
from eenas.reporting.facts.distortion_facts import load_contexts
from eenas.reporting.facts.explained import trained_network
from eenas.reporting.facts.picked import Picked, drawn_item, load_picked
from eenas.reporting.facts.runs import RUNS, runs_of
from eenas.reporting.facts.worth_facts import run_with_experts
from eenas.results.choice import Choice
from eenas.results.read import code_folder, read_results, study_record
from eenas.results.results import StudyResults
from eenas.runs.run_report import RunReport
from eenas.study.rivals.offered_points import FrontPoint
from eenas.study.settings.reference import StudyReference
from eenas.tasks.load import load_task
from eenas.tasks.task import Task

PAGE = "report"
"""The default page."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of a report as given, which its commands repeat.

    `choice` selects the design to draw (default: the recommended one), `runs` is the folder of fully trained networks
    (None: `runs`), and `page` the page with the panels.
    """

    choice: Choice | None = None
    runs: Path | None = None
    page: str = PAGE


USUAL = Asked()
"""A report with default options."""


@dataclass(frozen=True, kw_only=True)
class ReportSource:
    """A study's data for a report. The five functions may raise an EenasError, which a panel then shows.

    `facts` holds the facts of the study's context from its record, `created` the time of its start (ISO 8601, UTC).
    `item` is the point to draw (None: no front), and `picked` returns it with its exit tables. `task` returns the data,
    `trials` Optuna's trials, `runs` the study's full trainings, and `network` the name and the network of one of them
    (None: there is none). `contexts` returns the scores of the drawn network in each context. `study` is the reference
    by which it was opened, whose place of artifacts and trust the report's commands repeat.
    """

    results: StudyResults
    facts: Mapping[str, Any]
    created: str
    item: FrontPoint | None
    picked: Callable[[], Picked]
    task: Callable[[], Task]
    trials: Callable[[], Sequence[FrozenTrial]]
    runs: Callable[[], Sequence[RunReport]]
    network: Callable[[], tuple[str, EarlyExitNetwork] | None]
    contexts: Callable[[], Sequence[ContextScores]] = tuple
    study: StudyReference = field(default_factory=StudyReference)
    asked: Asked = USUAL

    def run_with_experts(self) -> RunReport | None:
        """Return the run whose experts the report shows, or None. Raises the errors of `runs`."""
        return run_with_experts(self.runs(), None if self.item is None else self.item.name)

    @property
    def cut_point_macs(self) -> dict[str, int]:
        """The backbone's MACs up to each of its cut points, in depth order."""
        profile = self.facts["profile"]
        names = [point["name"] for point in profile["cut_points"]]
        return dict(zip(names, profile["macs"], strict=True))


def open_source(study: StudyReference, asked: Asked = USUAL) -> ReportSource:
    """Open a study.

    Raises StorageError, StudyError and PluginError as `open_results` does, FrontError and StudyError for a choice that
    no point satisfies, StorageError for missing folders.
    """
    trust_code = study.trust_code
    database = Database(study.storage, create=False)
    record = study_record(database, study.name)
    results = read_results(database, record.name, trust_code=trust_code)
    store = existing_store(study.storage, study.artifacts, trust_code=trust_code)
    if asked.runs is not None and not asked.runs.is_dir():
        raise StorageError(f"{asked.runs}: no such folder; give the one that holds the runs of `eenas train`, or a run")
    item = drawn_item(results, asked.choice)

    @functools.cache
    def picked() -> Picked:
        return load_picked(results, item, store)

    @functools.cache
    def contexts() -> Sequence[ContextScores]:
        return load_contexts(results, item, store)

    @functools.cache
    def task() -> Task:
        if study.task is not None:
            return study.task
        return load_task(results.settings.task, trust_code=trust_code, relative_to=code_folder(record))

    @functools.cache
    def trials() -> Sequence[FrozenTrial]:
        try:
            kept = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
            return optuna.load_study(study_name=record.name, storage=kept).get_trials(deepcopy=False)
        except Exception as error:  # SQLAlchemy, alembic and drivers raise errors of their own
            raise database.to_storage_error(error) from error

    @functools.cache
    def runs() -> Sequence[RunReport]:
        return runs_of(record, asked.runs or RUNS, trust_code=trust_code)

    @functools.cache
    def network() -> tuple[str, EarlyExitNetwork] | None:
        name = None if item is None else item.name
        return trained_network(runs(), name, study.backbone, trust_code=trust_code)

    return ReportSource(
        results=results,
        facts=record.facts,
        created=record.created,
        item=item,
        picked=picked,
        task=task,
        trials=trials,
        runs=runs,
        contexts=contexts,
        network=network,
        study=study,
        asked=asked,
    )

"""A whole search: settings to a study context, that to a study that runs its trials, and what it found."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import optuna
from torch import nn

from eenas.errors import StorageError
from eenas.faults import machine_faults
from eenas.measurement.latency_profile import read_latency_profile
from eenas.progress import Listener, Notice, notices_to, silent
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.results.options import SearchOptions
from eenas.results.read import read_results
from eenas.results.results import StudyResults
from eenas.specs import check_options
from eenas.study.context.data_changes import known_record, same_data
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.interrupts import after_interrupt
from eenas.study.opening import own_name
from eenas.study.outages import despite_outages
from eenas.study.refusals import check_request, unmade_if_refused
from eenas.study.run import run_study
from eenas.study.settings.reference import StudyReference, referred
from eenas.study.settings.shortcuts import Shortcuts
from eenas.study.settings.study_spec import StudySpec, load_settings
from eenas.study.settings.time_limit import TimeLimit
from eenas.study.trials.blame import storage_faults
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task

Reporter = Callable[[StudyResults, optuna.Study], None]
REPORTING_SHARE = 0.02
"""The part of a search's time that reporters may take, their first and last call aside."""


def search(
    backbone: str | nn.Module | None = None,
    *,
    task: str | Task | None = None,
    study: str | Path | StudySpec | None = None,
    reporters: Sequence[Reporter] = (),
    started: float | None = None,
    **options: Unpack[SearchOptions],
) -> StudyResults:
    """Search for early-exit designs of `backbone` on `task`, or go on with a search that was ended or cut off.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`;
    `task` a specification such as "digits" or "folder:PATH", or a Task. `study` is a study file, its shipped name, or a
    `StudySpec`; the other arguments override it, see `SearchOptions`. The time limit counts from now, or from `started`
    (a reading of `time.monotonic`). Ctrl-C ends the search and returns what was found. Raises an EenasError for
    whatever cannot work, before anything is trained; StudyError when `name` belongs to another study, or three trials
    in a row fail alike; TimeOverError when the time was over before a trial of the study finished.
    """
    began = time.monotonic() if started is None else started
    check_options("search", options, SearchOptions)
    reference, settings, folder = requested(backbone, task=task, study=study, options=options)
    latencies = None if (file := options.get("latency_profile")) is None else read_latency_profile(file)
    with machine_faults(), notices_to(reference.listener):
        limit = TimeLimit(settings.search.timeout, began)

        def opened() -> tuple[StudyContext, str, dict[str, Any]]:
            check_request(reference, settings, options.get("sampler"))
            with unmade_if_refused(reference):
                own, spec = _with_data(reference, settings, folder)
                context = make_context(
                    spec,
                    own,
                    device=options.get("device", "auto"),
                    folder=folder,
                    remeasure=options.get("remeasure", False),
                    latencies=latencies,
                    limit=limit,
                )
                context = replace(context, sampler=options.get("sampler"))
                with storage_faults(context.database):
                    name, identity = own_name(context, own.name)
                    StudyArtifacts(context.database, name, context.artifacts.objects).check()
                    return context, name, identity

        context, name, identity = despite_outages(reference.storage, opened, reference.listener, check=limit.check)
        with storage_faults(context.database):
            reporting = Reporting(context.database, name, reporters, context.listener)
            callbacks = options.get("callbacks", ())
            ended = run_study(
                context, name, identity, folder=folder, after_trial=reporting.sometimes, callbacks=callbacks
            )
            with after_interrupt(ended.interrupt):
                results = reporting.last(ended.study)
            if ended.failure is not None:
                raise ended.failure
            return results


def requested(
    backbone: str | nn.Module | None,
    *,
    task: str | Task | None,
    study: str | Path | StudySpec | None,
    options: Mapping[str, Any],
) -> tuple[StudyReference, StudySpec, Path | None]:
    """Return the reference and the settings of a search with these arguments, and the folder of its study file.

    Raises SpecError for settings that no search takes.
    """
    module = backbone if isinstance(backbone, nn.Module) else None
    settings, folder = load_settings(
        study,
        backbone=type(module).__name__ if module is not None else backbone,  # type: ignore[arg-type]
        task=task.name if isinstance(task, Task) else task,
        overrides=options.get("overrides", ()),
        **{key: value for key, value in options.items() if key in Shortcuts.__annotations__},
    )
    fields = {key: value for key, value in options.items() if key in StudyReference.__annotations__}
    given = task if isinstance(task, Task) else None
    return referred(None, {**fields, "backbone": module, "task": given}), settings, folder


def _with_data(reference: StudyReference, settings: StudySpec, folder: Path | None) -> tuple[StudyReference, StudySpec]:
    """The same with the task of a study that goes on, whose data may have changed."""
    if reference.name is None or (record := known_record(reference.storage, reference.name)) is None:
        return reference, settings
    listener = reference.listener

    def load(spec: TaskSpec) -> Task:
        if reference.task is not None:
            return reference.task
        return load_task(spec, trust_code=reference.trust_code, relative_to=folder, listener=listener)

    store = ArtifactStore.beside(reference.storage, reference.artifacts, create=False, trust_code=reference.trust_code)
    accept = reference.accept_changed_data
    task, spec = same_data(record, store, settings.task, load, accept=accept, listener=listener)
    return replace(reference, task=task), replace(settings, task=spec)


class Reporting:
    """The calls of a study's reporters, which may take only a small share of its time."""

    def __init__(
        self, database: Database, name: str, reporters: Sequence[Reporter], listener: Listener = silent
    ) -> None:
        self.database, self.name, self.reporters, self.listener = database, name, reporters, listener
        self.start, self.spent, self.latest, self.calls = time.monotonic(), 0.0, 0.0, 0

    @property
    def is_due(self) -> bool:
        """Whether there are reporters that have not yet taken their share of the time."""
        allowed = REPORTING_SHARE * (time.monotonic() - self.start)
        return bool(self.reporters) and (self.calls == 0 or self.spent + self.latest <= allowed)

    def sometimes(self, study: optuna.Study) -> None:
        """Call the reporters if they are due."""
        if self.is_due:
            try:
                self.last(study)
            except StorageError as error:  # where the storage is really gone, the next trial says so
                self.listener(Notice(f"the study's page was not refreshed: {error}"))

    def last(self, study: optuna.Study) -> StudyResults:
        """Read the results, call the reporters, and return the results."""
        start = time.monotonic()
        try:
            results = read_results(self.database, self.name)
            for reporter in self.reporters:
                reporter(results, study)
        finally:
            self.latest = time.monotonic() - start
            self.spent, self.calls = self.spent + self.latest, self.calls + 1
        return results

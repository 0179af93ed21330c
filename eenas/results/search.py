"""A whole search: settings to a study context, that to a study that runs its trials, and what it found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from torch import nn

from eenas.errors import StorageError
from eenas.faults import machine_faults
from eenas.measurement.latency_profile import read_latency_profile
from eenas.progress import Listener, Notice, notices_to, silent
from eenas.records.artifacts import ArtifactStore
from eenas.results.read import read_results
from eenas.results.results import StudyResults
from eenas.study.context.data_changes import known_record, same_data
from eenas.study.context.study_context import StudyContext, make_context
from eenas.study.opening import own_name
from eenas.study.run import Callback, run_study
from eenas.study.settings.study_spec import load_settings
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
    weights: str | None = None,
    study: str | Path | None = None,
    space: str | Path | None = None,
    trials: int | None = None,
    timeout: float | None = None,
    storage: str = "sqlite:///eenas.db",
    name: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    overrides: Sequence[str] = (),
    artifacts: str | Path | None = None,
    trust_code: bool = False,
    remeasure: bool = False,
    latency_profile: str | Path | None = None,
    accept_changed_data: bool = False,
    listener: Listener = silent,
    reporters: Sequence[Reporter] = (),
    sampler: optuna.samplers.BaseSampler | None = None,
    callbacks: Sequence[Callback] = (),
    started: float | None = None,
) -> StudyResults:
    """Search for early-exit designs of `backbone` on `task`, or go on with a search that was ended or cut off.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`;
    `task` a specification such as "digits" or "folder:PATH", or a Task. `study` is a study file or its shipped name;
    the other arguments override it, and `overrides` ("table.key=value") override both. `trials` is a total, `timeout`
    in seconds from now, or from `started` (a reading of `time.monotonic`), for all that is done; `remeasure` measures
    MACs and latencies again that are in the storage. `latency_profile` is a file that `eenas profile` wrote, on another
    machine perhaps: latencies are then taken from it and nothing is timed. With `accept_changed_data` the study `name`
    goes on although its data changed, where its results still hold: added files are left out, a changed test split is
    taken as it is. `sampler` proposes in the place of the one that the settings name, and belongs to the study's
    identity by its class; `callbacks` are called as Optuna's after each trial, and end the search by `study.stop()`.
    Ctrl-C ends the search and returns what was found. Raises an EenasError for whatever cannot work,
    before anything is trained; StudyError when `name` belongs to another study, or three trials in a row fail alike;
    TimeOverError when the time was over before a trial of the study finished.
    """
    began = time.monotonic() if started is None else started
    module = backbone if isinstance(backbone, nn.Module) else None
    settings, folder = load_settings(
        study,
        backbone=type(module).__name__ if module is not None else backbone,  # type: ignore[arg-type]
        task=task.name if isinstance(task, Task) else task,
        weights=weights,
        space=space,
        trials=trials,
        timeout=timeout,
        seed=seed,
        overrides=overrides,
    )
    latencies = None if latency_profile is None else read_latency_profile(latency_profile)
    with machine_faults(), notices_to(listener):
        given = task if isinstance(task, Task) else None
        if name is not None and (record := known_record(storage, name)) is not None:
            store = ArtifactStore.beside(storage, Path(artifacts) if artifacts is not None else None)

            def load(spec: TaskSpec) -> Task:
                if given is not None:
                    return given
                return load_task(spec, trust_code=trust_code, relative_to=folder, listener=listener)

            given, spec = same_data(record, store, settings.task, load, accept=accept_changed_data, listener=listener)
            settings = replace(settings, task=spec)
        context = make_context(
            settings,
            storage=storage,
            artifacts=Path(artifacts) if artifacts is not None else None,
            device=device,
            module=module,
            task=given,
            folder=folder,
            trust_code=trust_code,
            listener=listener,
            remeasure=remeasure,
            latencies=latencies,
            limit=TimeLimit(settings.search.timeout, began),
        )
        context = replace(context, sampler=sampler)
        with storage_faults(context.database):
            name, identity = own_name(context, name)
            reporting = _Reporting(context, name, reporters)
            ended, failed = run_study(
                context, name, identity, folder=folder, after_trial=reporting.sometimes, callbacks=callbacks
            )
            results = reporting.last(ended)
            if failed is not None:
                raise failed
            return results


class _Reporting:
    def __init__(self, context: StudyContext, name: str, reporters: Sequence[Reporter]) -> None:
        self.context, self.name, self.reporters = context, name, reporters
        self.start, self.spent, self.latest, self.calls = time.monotonic(), 0.0, 0.0, 0

    def sometimes(self, study: optuna.Study) -> None:
        allowed = REPORTING_SHARE * (time.monotonic() - self.start)
        if self.reporters and (self.calls == 0 or self.spent + self.latest <= allowed):
            try:
                self.last(study)
            except StorageError as error:  # where the storage is really gone, the next trial says so
                self.context.listener(Notice(f"the study's page was not refreshed: {error}"))

    def last(self, study: optuna.Study) -> StudyResults:
        start = time.monotonic()
        try:
            results = read_results(self.context.database, self.name)
            for reporter in self.reporters:
                reporter(results, study)
        finally:
            self.latest = time.monotonic() - start
            self.spent, self.calls = self.spent + self.latest, self.calls + 1
        return results

"""A whole search: settings to ground, ground to study, trials until the total is reached, results."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from torch import nn

from eenas.errors import StorageError
from eenas.faults import machine_faults
from eenas.measurement.latency_profile import read_latency_profile
from eenas.progress import Advanced, Finished, Listener, Notice, Started, heard_by, silent
from eenas.records.artifacts import ArtifactStore
from eenas.search.baselines import refresh_static
from eenas.search.blame import storage_faults
from eenas.search.config import load_settings
from eenas.search.data_changes import known_record, same_data
from eenas.search.experimental import experimental
from eenas.search.objective import Objective
from eenas.search.opening import OpenStudy, open_shared, own_name
from eenas.search.preparation import Ground, lay_ground
from eenas.search.read import read_results
from eenas.search.results import StudyResults
from eenas.search.study import remaining, running
from eenas.search.time_limit import TimeLimit
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.task import Task

Reporter = Callable[[StudyResults, optuna.Study], None]
POLL = 1.0
"""Seconds between two looks at the trials of other workers."""
REPORTING_SHARE = 0.02
"""The part of a search's time that reporters may take, their first and last call aside."""
AWAY = 60.0
"""Seconds that a server may be away before the search ends; it goes on where the server answers again by then."""
OUTAGES = 3
"""A storage that fails more often than this with no trial between is not away for a moment."""


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
    started: float | None = None,
) -> StudyResults:
    """Search for early-exit designs of `backbone` on `task`, or go on with a search that was ended or cut off.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`;
    `task` a specification such as "digits" or "folder:PATH", or a Task. `study` is a study file or its shipped name;
    the other arguments and `overrides` ("table.key=value") override it. `trials` is a total, `timeout` in seconds from
    now, or from `started` (a reading of `time.monotonic`), for all that is done; `remeasure` measures MACs and
    latencies again that are in the storage. `latency_profile` is a file that `eenas profile` wrote, on another machine
    perhaps: latencies are then taken from it and nothing is timed. With `accept_changed_data` the study `name` goes on
    although its data changed, where its results still hold: added files are left out, a changed test split is taken as
    it is. Ctrl-C ends the search and returns what was found. Raises an EenasError for whatever cannot work, before
    anything is trained; StudyError when `name` belongs to another study, or three trials in a row fail alike;
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
    with machine_faults(), heard_by(listener):
        given = task if isinstance(task, Task) else None
        if name is not None and (record := known_record(storage, name)) is not None:
            store = ArtifactStore.beside(storage, Path(artifacts) if artifacts is not None else None)

            def load(spec: TaskSpec) -> Task:
                if given is not None:
                    return given
                return load_task(spec, trust_code=trust_code, relative_to=folder, listener=listener)

            given, spec = same_data(record, store, settings.task, load, accept=accept_changed_data, listener=listener)
            settings = replace(settings, task=spec)
        ground = lay_ground(
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
        with storage_faults(ground.database):
            return run_study(ground, name=name, folder=folder, reporters=reporters)


def run_study(
    ground: Ground, *, name: str | None = None, folder: Path | None = None, reporters: Sequence[Reporter] = ()
) -> StudyResults:
    """Run trials on `ground` until the study has its total or its time is over."""
    name, identity = own_name(ground, name)
    opened = open_shared(ground, name, identity, folder)
    objective = Objective(opened)
    reporting = _Reporting(opened.ground, name, reporters)
    ground.limit.lift()
    _run_trials(opened, objective, reporting)
    opened.check()
    ground.listener(Finished("searching", objective.best_so_far()))
    ground.leases.once(
        f"static/{name}", "looking for better static networks", lambda: refresh_static(opened.ground, name, opened.bank)
    )
    results = reporting.last(opened.study)
    if (alike := objective.failures_alike()) is not None:
        raise alike
    return results


def _run_trials(opened: OpenStudy, objective: Objective, reporting: "_Reporting") -> None:
    """Run trials until the study has its total, its time is over, Ctrl-C comes, or three in a row fail alike.

    Raises what is no design's fault; a server that was away for a moment is only said.
    """
    ground, study, outages = opened.ground, opened.study, 0
    listener, total = ground.listener, ground.settings.search.trials
    listener(Started("searching", total))
    listener(Advanced("searching", total - remaining(study, total), objective.best_so_far()))

    def after_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        nonlocal outages
        outages = outages if objective.stopped_by() else 0
        left = remaining(study, total)
        listener(Advanced("searching", total - left, objective.best_so_far()))
        reporting.sometimes(study)
        others_run_the_rest = left <= running(study)
        if others_run_the_rest or objective.stopped_by() or objective.failures_alike():
            study.stop()

    while True:
        try:
            opened.recovery.run()
            if (left := remaining(study, total)) <= 0 or objective.failures_alike():
                return
            seconds = ground.limit.left()
            if seconds is not None and seconds <= 0:
                if left == total:
                    raise ground.limit.error()
                listener(Notice(f"the time limit is reached with {total - left} of {total} trials"))
                return
            if (own := left - running(study)) <= 0:  # others run the rest; where one of them dies, it is run again
                time.sleep(POLL)
                continue
            with experimental():
                study.optimize(objective, n_trials=own, timeout=seconds, callbacks=[after_trial], catch=(Exception,))
            trouble = objective.stopped_by()
        except KeyboardInterrupt:
            listener(Notice("stopped; the same command goes on from here"))
            return
        except Exception as error:
            if isinstance(error, UpdateFinishedTrialError) or "Cannot tell" in str(error):
                continue  # another worker was given the trial, which the objective or the recovery says
            trouble = objective.stopped_by() or objective.fault(error)
            if trouble is None:
                raise
        if trouble is None:
            continue
        outages += 1
        if not isinstance(trouble, StorageError) or outages > OUTAGES or not ground.database.comes_back(AWAY):
            raise trouble
        study._storage.remove_session()
        objective.forgive()
        listener(Notice(f"the storage was away for a moment ({trouble}); the search goes on"))


class _Reporting:
    def __init__(self, ground: Ground, name: str, reporters: Sequence[Reporter]) -> None:
        self.ground, self.name, self.reporters = ground, name, reporters
        self.start, self.spent, self.latest, self.calls = time.monotonic(), 0.0, 0.0, 0

    def sometimes(self, study: optuna.Study) -> None:
        allowed = REPORTING_SHARE * (time.monotonic() - self.start)
        if self.reporters and (self.calls == 0 or self.spent + self.latest <= allowed):
            try:
                self.last(study)
            except StorageError as error:  # where the storage is really gone, the next trial says so
                self.ground.listener(Notice(f"the study's page was not refreshed: {error}"))

    def last(self, study: optuna.Study) -> StudyResults:
        start = time.monotonic()
        try:
            results = read_results(self.ground.database, self.name)
            for reporter in self.reporters:
                reporter(results, study)
        finally:
            self.latest = time.monotonic() - start
            self.spent, self.calls = self.spent + self.latest, self.calls + 1
        return results

"""A whole search: settings to ground, ground to study, trials until the total is reached, results."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from torch import nn

from eenas.errors import StorageError, StudyError
from eenas.measurement.latency_profile import read_latency_profile
from eenas.names import check_name
from eenas.progress import Advanced, Finished, Listener, Notice, Started, silent
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.trials import TrialRecords
from eenas.search.bank import Bank
from eenas.search.baselines import measure_baselines, refresh_static
from eenas.search.config import load_settings
from eenas.search.experimental import experimental
from eenas.search.first_trials import enqueue_first
from eenas.search.frozen_front import lay_bank
from eenas.search.identity import default_name, differences, study_identity
from eenas.search.objective import Objective
from eenas.search.preparation import Ground, lay_ground
from eenas.search.prepared_backbone import prepare_backbone
from eenas.search.read import read_results
from eenas.search.results import StudyResults
from eenas.search.study import open_storage, open_study, recover, remaining, running
from eenas.search.study_warnings import guessing_teacher, seen_samples
from eenas.specs import digest, to_table
from eenas.tasks.task import Task

Reporter = Callable[[StudyResults, optuna.Study], None]
POLL = 1.0
"""Seconds between two looks at the trials of other workers."""
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
    listener: Listener = silent,
    reporters: Sequence[Reporter] = (),
) -> StudyResults:
    """Search for early-exit designs of `backbone` on `task`, or go on with a search that was ended or cut off.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`;
    `task` a specification such as "digits" or "folder:PATH", or a Task. `study` is a study file or its shipped name,
    over which the other arguments and `overrides` ("table.key=value") are laid. `trials` is a total, `timeout` in
    seconds from now, preparation included; `remeasure` measures MACs and latencies again that are in the storage.
    `latency_profile` is a file that `eenas profile` wrote, on another machine perhaps: latencies are then taken from it
    and nothing is timed. Ctrl-C ends the search and returns what was found. Raises an EenasError for whatever cannot
    work, before anything is trained; StudyError when `name` belongs to another study, or three trials in a row fail
    alike.
    """
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
    ground = lay_ground(
        settings,
        storage=storage,
        artifacts=Path(artifacts) if artifacts is not None else None,
        device=device,
        module=module,
        task=task if isinstance(task, Task) else None,
        folder=folder,
        trust_code=trust_code,
        listener=listener,
        remeasure=remeasure,
        latencies=latencies,
    )
    return run_study(ground, name=name, folder=folder, reporters=reporters)


def run_study(
    ground: Ground, *, name: str | None = None, folder: Path | None = None, reporters: Sequence[Reporter] = ()
) -> StudyResults:
    """Run trials on `ground` until the study has its total or its time is over."""
    settings, listener = ground.settings, ground.listener
    name, identity = _own_name(ground, name)
    deadline = ground.started + settings.search.timeout if settings.search.timeout is not None else None
    with ground.artifacts.lock(name):  # what every worker needs and one of them makes
        ground = _prepared(ground)
        _keep_record(ground, name, identity, folder)
        study = open_study(open_storage(ground.database), name, settings)
        recover(study, TrialRecords(ground.database), listener)
        bank = Bank(ground)
        front = lay_bank(ground, bank)
        measure_baselines(ground, name, bank, front)
        if all(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False)):
            enqueue_first(study, ground, bank, front, identity)
    objective = Objective(ground, name, bank, front)
    reporting = _Reporting(ground, name, reporters)
    total, ran = settings.search.trials, False
    listener(Started("searching", total))
    listener(Advanced("searching", total - remaining(study, total), objective.best_so_far()))

    def after_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        left = remaining(study, total)
        listener(Advanced("searching", total - left, objective.best_so_far()))
        reporting.sometimes(study)
        if left <= running(study) or objective.trouble() is not None:  # other workers may have run the rest
            study.stop()

    try:
        while (left := remaining(study, total)) > 0 and objective.trouble() is None:
            seconds = deadline - time.monotonic() if deadline is not None else None
            if seconds is not None and seconds <= 0:
                why = "" if ran else "; preparation took all of it and is kept: the same command goes on from here"
                listener(Notice(f"the time limit is reached with {total - left} of {total} trials{why}"))
                break
            if (own := left - running(study)) <= 0:  # others run the rest; where one of them dies, it is run again
                time.sleep(POLL)
                recover(study, TrialRecords(ground.database), listener)
                continue
            ran = True
            with experimental():
                study.optimize(objective, n_trials=own, timeout=seconds, callbacks=[after_trial], catch=(Exception,))
    except KeyboardInterrupt:
        listener(Notice("stopped; the same command goes on from here"))
    except (StorageInternalError, AssertionError) as error:
        cause = error.__context__ if isinstance(error, AssertionError) else error  # Optuna asserts that it could write
        if not isinstance(cause, StorageInternalError):
            raise
        raise objective.trouble() or ground.database.trouble(cause) from error
    listener(Finished("searching", objective.best_so_far()))
    if isinstance(trouble := objective.trouble(), StorageError):
        raise trouble
    with ground.artifacts.lock(name):
        refresh_static(ground, name, bank)
    results = reporting.last(study)
    if trouble is not None:
        raise trouble
    return results


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


def _own_name(ground: Ground, name: str | None) -> tuple[str, dict[str, Any]]:
    """The study's name and identity. Raises StudyError when another identity has the name, before anything trains."""
    identity = study_identity(
        ground.settings, ground.task, ground.identity_backbone, ground.device_text, ground.latencies
    )
    name = check_name(name, "a study") if name is not None else default_name(identity, ground.task.name)
    known = StudyRecords(ground.database).get(name)
    if known is not None and known.identity_digest != digest(identity):
        changed = ", ".join(differences(identity, known.identity))
        raise StudyError(
            f"the study {name!r} belongs to another search (different: {changed}); give another --name, "
            "or repeat the flags that it was started with"
        )
    return name, identity


def _prepared(ground: Ground) -> Ground:
    """The ground with its backbone prepared, and whatever makes the study's figures doubtful said and kept."""
    seen, remark = seen_samples(ground)
    prepared = prepare_backbone(ground)
    warnings = tuple(text for text in (seen, guessing_teacher(prepared)) if text)
    for text in (*((remark,) if remark else ()), *(f"warning: {text}" for text in warnings)):
        ground.listener(Notice(text))
    return replace(prepared, warnings=warnings)


def _keep_record(ground: Ground, name: str, identity: dict[str, Any], folder: Path | None) -> None:
    StudyRecords(ground.database).save(
        StudyRecord(
            name=name,
            identity=identity,
            identity_digest=digest(identity),
            settings=to_table(ground.settings),
            facts=ground.facts_table(folder),
        )
    )

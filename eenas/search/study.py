"""The Optuna study: its storage, and what happens to trials that were cut off."""

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.trials import TrialRecords
from eenas.search.config import StudySpec
from eenas.search.experimental import experimental
from eenas.search.samplers import build_sampler

HEARTBEAT = 10
GRACE = 40
"""Seconds between signs of life of a running trial, and after which one without them counts as dead."""

DIED, STOPPED, SURPLUS = "died", "stopped", "surplus"
"""How a trial was cut off: with its process, by Ctrl-C or a storage that could not keep it, or as one too many."""

DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {
    "accuracy": "maximize",
    "macs": "minimize",
    "latency": "minimize",
}


def open_storage(database: Database) -> RDBStorage:
    """Optuna's tables in the same database as eenas's own, with heartbeats for trials in flight."""
    try:
        with experimental():
            return RDBStorage(
                database.url,
                engine_kwargs=database.engine_options(),
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=1),
            )
    except Exception as error:  # SQLAlchemy, alembic and drivers each have their own
        raise database.trouble(error) from error


def open_study(storage: RDBStorage, name: str, settings: StudySpec) -> optuna.Study:
    """The study of this name, new or continued."""
    objectives = settings.search.objectives
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[DIRECTIONS[objective] for objective in objectives],
        load_if_exists=True,
    )
    with experimental():
        study.set_metric_names([{"macs": "expected MACs", "latency": "expected ms"}.get(o, o) for o in objectives])
    study.sampler = build_sampler(settings.search.sampler, settings.seed)
    return study


def remaining(study: optuna.Study, total: int) -> int:
    """How many trials are still to run until `total` have ended; those that are run again do not count as ended."""
    states = (TrialState.COMPLETE, TrialState.FAIL)
    trials = study.get_trials(deepcopy=False, states=states)
    again = _run_again(study)
    return max(0, total - sum(_counts(trial, again) for trial in trials))


def is_surplus(study: optuna.Study, number: int, total: int) -> bool:
    """Whether the trials before this one make up the total already.

    Two workers that see one trial left in the same instant both start one; of these the later is one too many.
    """
    again = _run_again(study)
    trials = study.get_trials(deepcopy=False)
    return sum(trial.number < number and _counts(trial, again) for trial in trials) >= total


def running(study: optuna.Study) -> int:
    """How many trials are in flight, those of other workers among them."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def recover(study: optuna.Study, records: TrialRecords, listener: Listener) -> None:
    """Put trials back into the queue that were cut off, so that they are run again.

    Once each where their process died, which they may have caused, and always where Ctrl-C or a full disk came. One
    that was recorded, but of which Optuna had not heard yet, is told now.
    """
    with experimental():
        optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not _is_dead(trial):
            continue
        record = records.get(study.study_name, trial.number)
        if record is not None and record.values is not None:
            study.tell(trial.number, list(record.values), skip_if_finished=True)
        else:
            with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another worker was here first
                study._storage.set_trial_user_attr(trial._trial_id, "cut_off", DIED)
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    again, recorded = _run_again(study), {record.number for record in records.list(study.study_name)}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        if trial.number not in again and _was_cut_off(trial, recorded):
            parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            study.enqueue_trial(parameters, user_attrs={"origin": origin(trial), "again_for": trial.number})
            listener(Notice(f"trial {trial.number} was cut off and is run again"))


def origin(trial: FrozenTrial | optuna.Trial) -> str:
    """Where a trial's parameters come from, such as "known: uniform 3 fc", or "sampler"."""
    return str(trial.user_attrs.get("origin", "sampler"))


def _counts(trial: FrozenTrial, again: set[int]) -> bool:
    """Whether a trial is one of the total: not one in whose place another was queued, and not one too many."""
    failed = trial.state == TrialState.FAIL
    return not (failed and (trial.number in again or trial.user_attrs.get("cut_off") == SURPLUS))


def _run_again(study: optuna.Study) -> set[int]:
    """The numbers of trials in whose place another one was queued."""
    trials = study.get_trials(deepcopy=False)
    with experimental():
        retried = {RetryHeartbeatStaleTrialCallback.retried_trial_number(trial) for trial in trials}
    queued = {trial.user_attrs.get("again_for") for trial in trials}
    return {number for number in retried | queued if number is not None}


def _was_cut_off(trial: FrozenTrial, recorded: set[int]) -> bool:
    """Whether a failed trial is to be run again: it did not fail by itself, which would have left a record."""
    with experimental():
        is_retry = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial) is not None
    how = str(trial.user_attrs.get("cut_off"))
    if how == DIED:
        return not (is_retry or "again_for" in trial.user_attrs)
    if how in (STOPPED, SURPLUS):
        return how == STOPPED
    return not is_retry and trial.number not in recorded


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether a running trial's worker is gone; one that died before it gave its name is known by its age."""
    worker = trial.user_attrs.get("worker")
    if worker is not None:
        return _worker_is_dead(str(worker))
    start = trial.datetime_start
    return start is not None and datetime.now() - start > timedelta(seconds=GRACE)


def _worker_is_dead(worker: str) -> bool:
    """Whether a worker "host:process" of this machine is gone; of other machines only heartbeats tell."""
    host, _, process = worker.rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(process) == os.getpid()

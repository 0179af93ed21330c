"""Recovery of trials that were cut off: they are queued again unless they caused it themselves."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from eenas.progress import Listener, Notice
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.leases import Leases
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import is_gone, worker_name
from eenas.study.experimental import experimental
from eenas.study.study import DIED, GRACE, STOPPED, SURPLUS, origin, run_again, silent_trials

GIVEN_UP = "its process died, as it did in the first run of this trial"


@dataclass(frozen=True)
class Recovery:
    """Recovers the trials of one study that were cut off, for one worker."""

    study: optuna.Study
    database: Database
    in_flight: InFlight
    listener: Listener

    def run(self) -> None:
        """Queue trials again that were cut off. One worker at a time does this; none waits if there is nothing to do.

        A trial with a dead process is queued again once, since it may have caused the death. A second death is recorded
        as a failure. A trial cut off by Ctrl-C, a full disk or an unavailable storage is always queued again. A
        recorded trial unknown to Optuna is told to it. The record of an unresponsive worker is dropped if its trial was
        run again.
        """
        if self._dead() or self._cut_off() or self._overtaken():
            name = f"recover/{self.study.study_name}"
            Leases(self.database, self.listener).once(name, "queueing trials again that were cut off", self._recover)

    @property
    def _records(self) -> TrialRecords:
        return TrialRecords(self.database)

    def _recover(self) -> None:
        study, name = self.study, self.study.study_name
        for trial in self._dead():
            record, is_dead = self._records.get(name, trial.number), _is_dead(trial)
            if record is not None and record.values is not None:
                study.tell(trial.number, list(record.values), skip_if_finished=True)
            else:
                if record is None and is_dead:
                    how = DIED if self._may_have_died(trial) else STOPPED
                    with suppress(optuna.exceptions.UpdateFinishedTrialError):  # its worker has ended it meanwhile
                        study._storage.set_trial_user_attr(trial._trial_id, "cut_off", how)
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if record is not None or is_dead:  # the marker of a silent trial shows later whether its worker woke up
                self.in_flight.end(name, trial.number)
        for trial in self._cut_off():
            parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            study.enqueue_trial(parameters, user_attrs={"origin": origin(trial), "again_for": trial.number})
            self.in_flight.end(name, trial.number)
            self.listener(Notice(f"trial {trial.number} was cut off; it is run again"))
        for trial in self._given_up():
            self._records.save(
                TrialRecord(study=name, number=trial.number, state="failed", reason=GIVEN_UP, origin=origin(trial))
            )
            first = _first_run_of(trial)
            self.listener(Notice(f"trial {trial.number} was cut off like trial {first} before; it is not run again"))
        for number in self._overtaken():
            self._records.drop(name, number)

    def _dead(self) -> list[FrozenTrial]:
        """Return the running trials whose worker is dead or silent."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        unheard = silent_trials(self.study) if trials else set()
        return [each for each in trials if _is_dead(each) or each._trial_id in unheard]

    def _cut_off(self) -> list[FrozenTrial]:
        """Return the failed trials to be run again."""
        trials = {trial.number: trial for trial in self.study.get_trials(deepcopy=False)}
        return [trial for trial in self._unrecorded() if self._is_run_again(trial, trials)]

    def _given_up(self) -> list[FrozenTrial]:
        """Return the failed trials whose process died in both runs."""
        trials = {trial.number: trial for trial in self.study.get_trials(deepcopy=False)}
        died = (trial for trial in self._unrecorded() if trial.user_attrs.get("cut_off") == DIED)
        return [trial for trial in died if not self._is_run_again(trial, trials)]

    def _unrecorded(self) -> list[FrozenTrial]:
        """Return the failed trials without a record that were not queued again."""
        known = run_again(self.study) | self._records.numbers(self.study.study_name)
        failed = self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        return [trial for trial in failed if trial.number not in known]

    def _is_run_again(self, trial: FrozenTrial, trials: dict[int, FrozenTrial]) -> bool:
        """Whether to run a failed trial without a record again: no worker died in it, or only its first one did."""
        how = trial.user_attrs.get("cut_off")
        if how in (STOPPED, SURPLUS):
            return bool(how == STOPPED)
        if not (how == DIED or self._may_have_died(trial)):  # its worker was silent and has removed its marker
            return True
        before = trials.get(_first_run_of(trial))
        while before is not None:
            if before.user_attrs.get("cut_off") != STOPPED:
                return False
            before = trials.get(_first_run_of(before))
        return True

    def _may_have_died(self, trial: FrozenTrial) -> bool:
        return self.in_flight.has_marker(self.study.study_name, trial.number)

    def _overtaken(self) -> list[int]:
        """Return the failed trials with a record that were run again."""
        failed = {trial.number for trial in self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))}
        return sorted(failed & run_again(self.study) & self._records.numbers(self.study.study_name))


def _first_run_of(trial: FrozenTrial) -> int:
    """Return the number of the trial that this one runs again, or -1."""
    with experimental():
        retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    number = trial.user_attrs.get("again_for", retried)
    return -1 if number is None else int(number)


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether the worker of a running trial is gone. A worker without a name is gone after GRACE seconds."""
    worker = trial.user_attrs.get("worker")
    if worker is not None:
        return is_gone(str(worker)) or str(worker) == worker_name()  # this worker runs no trial during recovery
    start = trial.datetime_start
    return start is not None and datetime.now() - start > timedelta(seconds=GRACE)

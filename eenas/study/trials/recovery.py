"""Recovery of trials that were cut off: they are queued again unless they caused it themselves."""

import time
from collections.abc import Callable
from contextlib import suppress

import optuna
from optuna.trial import FrozenTrial, TrialState

from eenas.progress import Listener, Notice
from eenas.records.claims import Claim, Claims
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.leases import Leases
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import WorkerRecords, is_gone, worker_name
from eenas.study.study import DIED, GRACE, STOPPED, SURPLUS, RunAgain, begun_here, first_run_of, origin, silent_trials

GIVEN_UP = "its process died, as it did in the first run of this trial"
EVERY = 5.0
"""The least seconds between two looks for trials that were cut off, while there is other work."""
UNNAMED = 10.0
"""The seconds after which a running trial that no worker has put its name to counts as dead."""
_MOST_RUNS = 4
"""The runs of a trial whose worker on another machine fell silent, of which nobody knows whether it died of it."""


class Recovery:
    """Recovers the trials of one study that were cut off, for one worker.

    Only the clock of the database and durations of this process decide, never the clocks of two machines. `is_steady`
    tells whether this worker has reached the database without interruption for long enough to tell silent workers.
    """

    def __init__(
        self,
        study: optuna.Study,
        database: Database,
        in_flight: InFlight,
        listener: Listener,
        is_steady: Callable[[], bool] = lambda: True,
    ) -> None:
        self._study, self._database, self._in_flight, self._listener = study, database, in_flight, listener
        self._name, self._me, self._is_steady = study.study_name, worker_name(), is_steady
        self._records, self._claims = TrialRecords(database), Claims(database, study.study_name)
        self._workers = WorkerRecords(database)
        self._again, self._settled = RunAgain(study), set[int]()
        self._unnamed_since: dict[int, float] = {}
        self._waited_for: dict[str, set[int]] = {}
        self._looked = float("-inf")

    def sometimes(self) -> None:
        """Run the recovery, at most every EVERY seconds."""
        if time.monotonic() - self._looked >= EVERY:
            self.run()

    def run(self) -> None:
        """Queue trials again that were cut off. One worker at a time does this; none waits if there is nothing to do.

        A trial with a dead process is queued again once, since it may have caused the death. A second death is recorded
        as a failure. A trial cut off by Ctrl-C, a full disk or an unavailable storage is always queued again. A
        recorded trial unknown to Optuna is told to it. The claims of dead workers are given back.
        """
        self._looked = time.monotonic()
        if self._dead() or self._unrecorded() or self._lost():
            leases = Leases(self._database, self._listener)
            leases.once(f"recover/{self._name}", "queueing trials again that were cut off", self._recover)

    def _recover(self) -> None:
        study, name = self._study, self._name
        for trial in self._dead():
            is_dead = self._is_dead(trial)
            if self._records.get(name, trial.number) is None:
                self._claims.seize(trial.number, self._me)  # from now on its worker can record nothing
            record = self._records.get(name, trial.number)
            if record is not None and record.values is not None:
                study.tell(trial.number, list(record.values), skip_if_finished=True)
            else:
                if record is None and is_dead:
                    how = DIED if self._may_have_died(trial) else STOPPED
                    with suppress(optuna.exceptions.UpdateFinishedTrialError):  # its worker has ended it meanwhile
                        study._storage.set_trial_user_attr(trial._trial_id, "cut_off", how)
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if record is not None or is_dead:  # the marker of a silent trial shows later whether its worker woke up
                self._in_flight.end(name, trial.number)
        trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
        for trial in self._unrecorded():
            if self._is_run_again(trial, trials):
                parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
                attributes = {"origin": origin(trial), "again_for": trial.number}
                study.enqueue_trial(parameters, user_attrs=attributes)
                self._in_flight.end(name, trial.number)
                self._listener(Notice(f"trial {trial.number} was cut off; it is run again"))
            elif trial.user_attrs.get("cut_off") != SURPLUS:
                self._give_up(trial)
            self._settled.add(trial.number)
        for claim in self._lost():
            self._claims.give_back(claim)

    def _dead(self) -> list[FrozenTrial]:
        """Return the running trials whose worker is dead or silent."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._note_unnamed(trials)
        unheard = silent_trials(self._study) if trials and self._is_steady() else set()
        return [each for each in trials if self._is_dead(each) or each._trial_id in unheard]

    def _note_unnamed(self, running: list[FrozenTrial]) -> None:
        now = time.monotonic()
        unnamed = [trial.number for trial in running if "worker" not in trial.user_attrs]
        self._unnamed_since = {number: self._unnamed_since.get(number, now) for number in unnamed}

    def _is_dead(self, trial: FrozenTrial) -> bool:
        """Whether the worker of a running trial is gone. One without a name is gone when seen so for UNNAMED s.

        One that this worker itself began is gone at once: the connection broke before it could put its name to it.
        """
        worker = trial.user_attrs.get("worker")
        if worker is not None:
            return is_gone(str(worker)) or str(worker) == self._me  # this worker runs no trial during recovery
        if trial._trial_id == begun_here(self._study):
            return True
        since = self._unnamed_since.get(trial.number)
        return since is not None and time.monotonic() - since > UNNAMED

    def _unrecorded(self) -> list[FrozenTrial]:
        """Return the failed trials without a record that were not queued again."""
        failed = self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        fresh = [trial for trial in failed if trial.number not in self._settled]
        if fresh:
            again = self._again.numbers()
            self._settled |= again & {trial.number for trial in fresh}
            self._settled |= {trial.number for trial in fresh if trial.user_attrs.get("cut_off") == SURPLUS}
            self._settled |= self._records.recorded(self._name, [trial.number for trial in fresh])
        return [trial for trial in fresh if trial.number not in self._settled]

    def _is_run_again(self, trial: FrozenTrial, trials: dict[int, FrozenTrial]) -> bool:
        """Whether to run a failed trial without a record again: no worker died in it, or only its first one did."""
        how = trial.user_attrs.get("cut_off")
        if how in (STOPPED, SURPLUS):
            return bool(how == STOPPED)
        earlier = []
        before = trials.get(-1 if (first := first_run_of(trial)) is None else first)
        while before is not None:
            earlier.append(before.user_attrs.get("cut_off"))
            before = trials.get(-1 if (first := first_run_of(before)) is None else first)
        if not (how == DIED or self._may_have_died(trial)):  # its worker was silent and has removed its marker
            return len([each for each in earlier if each != STOPPED]) < _MOST_RUNS - 1
        return all(each == STOPPED for each in earlier)

    def _give_up(self, trial: FrozenTrial) -> None:
        """Record a trial whose process died in both runs as a failure."""
        record = TrialRecord(
            study=self._name, number=trial.number, state="failed", reason=GIVEN_UP, origin=origin(trial)
        )
        claim = self._claims.seize(trial.number, self._me)
        if claim is None or not self._claims.finish(claim, record):
            self._records.save(record)  # a study of an earlier eenas, whose trials had no claims
            self._claims.sync()
        first = first_run_of(trial)
        self._listener(Notice(f"trial {trial.number} was cut off like trial {first} before; it is not run again"))

    def _may_have_died(self, trial: FrozenTrial) -> bool:
        return self._in_flight.has_marker(self._name, trial.number)

    def _lost(self) -> list[Claim]:
        """Return the claims to give back: of dead workers, without a trial or with one that has ended.

        A worker may die between the start of its trial in Optuna and its name on it. Its claim is kept until every
        trial that has no name yet is either named or dead, so that the total does not fill up before.
        """
        claims = self._claims.list()
        alive = {each.worker for each in claims if each.worker != self._me and not is_gone(each.worker)}
        if alive and self._is_steady():
            alive &= {each.name for each in self._workers.list(self._name) if each.seen_seconds_ago <= GRACE}
        claims = [claim for claim in claims if claim.worker not in alive]  # this one runs no trial during recovery
        if not claims:
            return []
        running = {trial.number for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))}
        found = []
        for claim in claims:
            if claim.number is not None:
                found += [] if claim.number in running else [claim]
                continue
            unnamed = self._unnamed_since.keys() & running
            left = self._waited_for.setdefault(claim.key, unnamed) & unnamed
            self._waited_for[claim.key] = left
            found += [] if left else [claim]
        return found

"""The objective that Optuna calls for each trial, with its record, artifacts, constraints and failures."""

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.artifacts import upload_artifact
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from eenas.designs.design import Design
from eenas.errors import EenasError, InfeasibleError, StorageError, StudyError
from eenas.faults import causes, interrupt_of, is_memory_shortage, machine_fault
from eenas.masking import masked
from eenas.measurement.device_lock import at_work
from eenas.networks.tables import with_distorted
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.progress import Notice
from eenas.records.artifacts import reference_to
from eenas.records.learning_curves import LearningCurves
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.study.context.latencies import serve
from eenas.study.opening import OpenStudy
from eenas.study.optuna_artifacts import OptunaArtifacts
from eenas.study.rivals.known_networks import trial_networks
from eenas.study.study import STOPPED, origin
from eenas.study.trials.best_so_far import BestSoFar
from eenas.study.trials.blame import Blame, blame, free_memory, storage_trouble
from eenas.study.trials.design_training import network_digest
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.trial import Outcome, infeasible_record, propose, run_trial
from eenas.study.trials.turn import SurplusError, Turn

FAILURES = 3
"""The number of consecutive failures with the same reason that ends a study."""
ATTEMPTS = 3
"""How often the record of a trained trial is written while a database server comes and goes."""


class Objective:
    """The objective of one worker. Every trial is recorded before Optuna gets its values."""

    def __init__(self, opened: OpenStudy, at_trial: Callable[[int | None], object] = lambda _: None) -> None:
        """`at_trial` is told the number of the trial that begins, and None at its end."""
        context, study = opened.context, opened.name
        self._opened, self._context, self._study, self._at_trial = opened, context, study, at_trial
        self._records = TrialRecords(context.database)
        self._store = OptunaArtifacts(context.artifacts)
        self._fault: EenasError | None = None
        self._unreported: int | None = None
        self._rule = PruningRule(LearningCurves(context.database), study, opened.front)
        self._failures: list[str] = []
        self._outer = sys.exception()
        self.interrupt: KeyboardInterrupt | None = None
        """Ctrl-C that came when the last trial was already recorded."""
        self._best = BestSoFar(context, opened.claims, study)
        self.turn = Turn(opened.claims, context.database, context.listener, context.settings.search.trials)

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Run one trial and return its values in the order of the study's objectives.

        Ctrl-C ends the trial, or is kept in `interrupt` if the trial is recorded by then: Optuna has to learn its
        values first.
        """
        try:
            return self._attempt(trial)
        except (KeyboardInterrupt, Exception) as error:
            if (interrupt := interrupt_of(error, self._outer)) is None:
                raise
        interrupt.__traceback__ = None  # its frames keep cursors open if it was a call of the storage
        with contextlib.suppress(Exception):
            record = self._records.get(self._study, trial.number)
            if record is not None and record.values is not None:
                self.interrupt = interrupt
                return record.values
            trial.set_user_attr("cut_off", STOPPED)
        raise interrupt

    def _attempt(self, trial: optuna.Trial) -> tuple[float, ...]:
        in_flight = self._context.in_flight
        self._unreported = trial._trial_id
        try:
            self._opened.check()
            in_flight.begin(self._study, trial.number)
            self.turn.begin(trial)
            self._at_trial(trial.number)
            with at_work(self._context.device, self.serve):
                record = self._run_with_retry(trial)
            self._opened.check()
            self._keep_despite_outages(trial, record)
        except SurplusError:
            raise
        except Exception as error:
            if interrupt_of(error, self._outer) is None:
                if isinstance(error, UpdateFinishedTrialError):
                    raise self.overtaken(trial.number) from error
                self._end(trial, error)
            raise
        finally:
            self._at_trial(None)
            in_flight.end(self._study, trial.number)
            with contextlib.suppress(StorageError):  # the recovery gives back the claims that this worker lost
                self.turn.give_back()
        self._failures.clear()
        assert record.values is not None
        return record.values

    def serve(self) -> None:
        """Answer workers on other nodes that wait for latencies of this one."""
        serve(self._context.runtime, self._context.device, self._context.settings.latency)

    def stopped_by(self) -> EenasError | None:
        """Return the error that stops the study and is not the fault of a design, or None."""
        return None if self._fault is None else type(self._fault)(f"{self._fault}; finished trials are kept")

    def failures_alike(self) -> StudyError | None:
        """Return the error for FAILURES consecutive failures with the same reason, or None."""
        last = self._failures[-FAILURES:]
        if len(last) < FAILURES or len(set(last)) > 1:
            return None
        return StudyError(
            f"three trials in a row failed for the same reason: {last[0]}; fix the cause and rerun the command, "
            "finished trials are kept"
        )

    def fault(self, error: Exception) -> EenasError | None:
        """Return the error of eenas for an error of Optuna or of a trial, or None if it is a bug."""
        if (trouble := storage_trouble(error, self._context.database)) is not None:
            return trouble
        if isinstance(error, KeyError):  # Optuna raises it for deleted rows
            try:
                self._opened.check()
            except EenasError as gone:
                return gone
        return error if isinstance(error, EenasError) else machine_fault(error)

    def clear_fault(self) -> None:
        """Forget the error that stopped the study, once its cause is gone."""
        self._fault = None

    def overtaken(self, number: int) -> EenasError:
        """Report that another worker took over a trial of this one. Return the error; the result here is discarded."""
        text = f"trial {number} was given to another worker while this one did not respond; its result is discarded"
        self._context.listener(Notice(text))
        return _OvertakenError(text)

    def mark_reported(self) -> None:
        """Note that Optuna knows the result of the last trial."""
        self._unreported = None

    def was_overtaken(self, study: optuna.Study) -> bool:
        """Whether another worker ended the last trial of this one before it was told to Optuna.

        A trial that ended as failed stays failed and is run again. Its result, if recorded since, is discarded.
        """
        unreported, self._unreported = self._unreported, None
        with contextlib.suppress(Exception):  # if the storage is gone, the next step reports it
            if unreported is None or not (trial := study._storage.get_trial(unreported)).state.is_finished():
                return False
            if trial.state == TrialState.FAIL:
                record = self._records.get(self._study, trial.number)
                if record is not None and record.values is not None:
                    self._opened.claims.withdraw(trial.number)
                    self.overtaken(trial.number)
            return True
        return False

    def best_so_far(self) -> str:
        """Return a short text on the best that all workers have reached."""
        return self._best.text()

    def _run_with_retry(self, trial: optuna.Trial) -> TrialRecord:
        """Run a trial. If memory runs out, free it and run the trial once more."""
        try:
            return self._run(trial)
        except Exception as error:
            if interrupt_of(error, self._outer) or not any(map(is_memory_shortage, causes(error))):
                raise
        free_memory()  # outside the handler, whose traceback keeps the tensors of the trial alive
        return self._run(trial)

    def _run(self, trial: optuna.Trial) -> TrialRecord:
        try:
            design = propose(trial, self._context, self._opened.bank)
        except InfeasibleError as error:
            record = infeasible_record(error, self._context, study=self._study, number=trial.number)
            return replace(record, origin=origin(trial))
        trial.set_user_attr("design", design.label())
        outcome = run_trial(
            design,
            self._context,
            self._rule,
            study=self._study,
            number=trial.number,
            bank=self._opened.bank if self._context.settings.bank.use else None,
            earlier=self._earlier(design),
        )
        artifacts = self._upload(trial, outcome.tables)
        return replace(outcome.record, origin=origin(trial), artifacts=artifacts)

    def _keep_despite_outages(self, trial: optuna.Trial, record: TrialRecord) -> None:
        """Keep a record. A server that is away for a moment must not cost a trained trial: every write can be redone.

        Raises the StorageError of a server that stays away.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                self._keep(trial, record)
            except Exception as error:
                trouble = storage_trouble(error, self._context.database)
                if trouble is None or interrupt_of(error, self._outer) is not None:
                    raise
                if not self.turn.has_server(trial.number, trouble):
                    raise
                trial.study._storage.remove_session()
            else:
                return
        self._keep(trial, record)

    def _keep(self, trial: optuna.Trial, record: TrialRecord) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The constraint value is ignored", UserWarning)  # set before an outage
            for key, value in {"buildable": 0.0, **record.violations}.items():
                trial.set_constraint(key, value)
        trial.set_user_attr("state", record.state)
        if record.reason:
            trial.set_user_attr("reason", record.reason)
        self.turn.end(record, self._best.points(trial_networks(record)))

    def _earlier(self, design: Design) -> Outcome | None:
        """Return an earlier trial of this study that trained the same network to the end, with its tables, or None."""
        record = self._records.find_by_digest(self._study, network_digest(design))
        if record is None or record.state not in ("complete", "copied") or not design.branches:
            return None
        try:
            paths = {split: self._context.artifacts.path(reference) for split, reference in record.artifacts.items()}
        except StorageError:  # missing or changed: the network is trained again
            return None
        tables = {split: load_exit_table(path) for split, path in paths.items()}
        return Outcome(record, tables, None) if set(with_distorted(self._context.task)) <= tables.keys() else None

    def _upload(self, trial: optuna.Trial, tables: Mapping[str, ExitTable]) -> dict[str, str]:
        """Upload the exit tables as artifacts of the trial, for the dashboard, and return their references."""
        names = {}
        with tempfile.TemporaryDirectory() as folder:
            for split, table in tables.items():
                path = Path(folder) / f"exit_table_{split}.npz"
                table.save(path)
                kept = upload_artifact(
                    artifact_store=self._store, file_path=str(path), study_or_trial=trial, mimetype="application/zip"
                )
                names[split] = reference_to(kept, path)
        return names

    def _end(self, trial: optuna.Trial, error: Exception) -> None:
        """Record a failure of the design. After any other error, mark the trial as cut off and stop the study."""
        if isinstance(error, KeyError) and (gone := self.fault(error)) is not None:
            self._fault = gone
            return
        blamed = blame(error, self._context)
        if blamed is None and isinstance(error, StudyError):
            blamed = Blame(error, STOPPED)
        if blamed is None:
            self._fail(trial, error)
            return
        self._fault = blamed.error
        with contextlib.suppress(Exception):  # the database may be what failed
            trial.set_user_attr("cut_off", blamed.cut_off)

    def _fail(self, trial: optuna.Trial, error: Exception) -> None:
        """Record the reason of the failure and free memory."""
        reason = masked(str(error) if isinstance(error, EenasError) else f"{type(error).__name__}: {error}")
        self._failures.append(reason)
        trial.set_user_attr("reason", reason)
        self.turn.end(
            TrialRecord(study=self._study, number=trial.number, state="failed", reason=reason, origin=origin(trial))
        )
        free_memory()


class _OvertakenError(StudyError):
    """Another worker runs the trial again."""

"""What Optuna calls for each trial: it keeps the record, the artifacts, the constraints and the reasons of failures."""

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from eenas.designs.design import Design
from eenas.errors import EenasError, InfeasibleError, StorageError, StudyError
from eenas.faults import causes, is_memory_shortage, machine_fault
from eenas.files import write_atomically
from eenas.fronts.hypervolume import REFERENCE_COST, hypervolume
from eenas.masking import masked
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.progress import Notice
from eenas.records.artifacts import ArtifactStore, reference_to
from eenas.records.learning_curves import LearningCurves
from eenas.records.studies import StudyRecords
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import worker_name
from eenas.study.context.study_context import StudyContext
from eenas.study.opening import OpenStudy
from eenas.study.rivals.known_networks import KnownNetwork, recorded_networks, trial_networks
from eenas.study.rivals.offered_points import offered
from eenas.study.settings.search_spec import ACCURACY
from eenas.study.study import STOPPED, SURPLUS, is_surplus, origin
from eenas.study.trials.blame import Blame, blame, free_memory, storage_trouble
from eenas.study.trials.design_training import network_digest
from eenas.study.trials.pruning import PruningRule
from eenas.study.trials.trial import Outcome, propose, run_trial

FAILURES = 3
"""So many failures in a row with the same reason end a study."""


class Objective:
    """The objective of one worker. Every trial is recorded before Optuna hears its values."""

    def __init__(self, opened: OpenStudy) -> None:
        context, study = opened.context, opened.name
        self._opened, self._context, self._study = opened, context, study
        self._records = TrialRecords(context.database)
        self._store = _WholeStore(context.artifacts)
        self._fault: EenasError | None = None
        self._untold: int | None = None
        self._rule = PruningRule(LearningCurves(context.database), study)
        self._failures: list[str] = []
        self._backbone = context.backbone_facts()
        record = StudyRecords(context.database).get(study)
        self._points = self._held(recorded_networks(record, self._records.list(study)) if record else ())

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Run one trial and give its values in the order of the study's objectives."""
        notes, kept = self._context.in_flight, False
        self._untold = trial._trial_id
        try:
            self._opened.check()
            notes.begin(self._study, trial.number)
            if is_surplus(trial.study, trial.number, self._context.settings.search.trials):
                trial.set_user_attr("cut_off", SURPLUS)
                raise _SurplusError("another worker had begun the last trial; this one is not run")
            trial.set_user_attr("worker", worker_name())
            record = self._run_with_room(trial)
            self._opened.check()
            self._keep(trial, record)
            kept = True
        except KeyboardInterrupt:
            if kept:
                raise
            with contextlib.suppress(Exception):  # it may be the storage that was waited for
                trial.set_user_attr("cut_off", STOPPED)
            raise
        except _SurplusError:
            raise
        except UpdateFinishedTrialError as error:
            raise self.overtaken(trial.number) from error
        except Exception as error:
            self._end(trial, error)
            raise
        finally:
            notes.end(self._study, trial.number)
        self._failures.clear()
        self._points += self._held(trial_networks(record))
        assert record.values is not None
        return record.values

    def stopped_by(self) -> EenasError | None:
        """The fault, no design's, for which the study cannot go on."""
        return None if self._fault is None else type(self._fault)(f"{self._fault}; nothing finished was lost")

    def failures_alike(self) -> StudyError | None:
        """Why the study should not go on: the last failures, all for one reason."""
        last = self._failures[-FAILURES:]
        if len(last) < FAILURES or len(set(last)) > 1:
            return None
        return StudyError(
            f"three trials in a row failed alike: {last[0]}; fix the cause and run the same command again, "
            "nothing finished was lost"
        )

    def fault(self, error: Exception) -> EenasError | None:
        """What `error` of Optuna or of a trial means for the study; None where it is a mistake of ours."""
        if (trouble := storage_trouble(error, self._context.database)) is not None:
            return trouble
        if isinstance(error, KeyError):  # what Optuna says of rows that are gone
            try:
                self._opened.check()
            except EenasError as gone:
                return gone
        return error if isinstance(error, EenasError) else machine_fault(error)

    def forgive(self) -> None:
        """Go on after a fault that is over."""
        self._fault = None

    def overtaken(self, number: int) -> EenasError:
        """Say that a trial was given to another worker while this one slept; its result counts for nothing."""
        text = f"trial {number}: was given to another worker while this one did not answer; its result here is left out"
        self._context.listener(Notice(text))
        return _OvertakenError(text)

    def told(self) -> None:
        """Optuna has heard how the last trial ended."""
        self._untold = None

    def was_overtaken(self, study: optuna.Study) -> bool:
        """Whether another worker ended the last trial of this one before Optuna heard of it from here.

        Where it ended as failed, which then it stays, the result that was recorded since is left out: it is run again.
        """
        untold, self._untold = self._untold, None
        with contextlib.suppress(Exception):  # where the storage is gone the next step says so
            if untold is None or not (trial := study._storage.get_trial(untold)).state.is_finished():
                return False
            if trial.state == TrialState.FAIL:
                record = self._records.get(self._study, trial.number)
                if record is not None and record.values is not None:
                    self._records.drop(self._study, trial.number)
                    self.overtaken(trial.number)
            return True
        return False

    def best_so_far(self) -> str:
        """A short text: the hypervolume, and the best accuracy at half of the backbone's MACs."""
        if not self._points:
            return ""
        total, chance = self._context.profile.total_macs, 1.0 / self._context.task.num_classes
        accuracy, macs = np.array(self._points).T
        area = hypervolume(accuracy, macs / total, reference_cost=REFERENCE_COST, reference_accuracy=chance)
        half = accuracy[macs <= 0.5 * total]
        return f"hypervolume {area:.3f}" + (f", {100 * half.max():.1f} % at 50 % MACs" if len(half) else "")

    def _held(self, networks: Sequence[KnownNetwork]) -> list[tuple[float, float]]:
        """Accuracy and MACs of those points of networks that hold the study's limits."""
        items = offered(networks, self._backbone, self._context.settings.constraints)
        return [(item.point.accuracy, item.point.expected[MACS]) for item in items]

    def _run_with_room(self, trial: optuna.Trial) -> TrialRecord:
        """Run a trial, and once more where memory ran out: what it held, or another program, may be gone then."""
        try:
            return self._run(trial)
        except Exception as error:
            if not any(map(is_memory_shortage, causes(error))):
                raise
        free_memory()  # out of the handler, whose traceback holds what the trial made
        return self._run(trial)

    def _run(self, trial: optuna.Trial) -> TrialRecord:
        try:
            design = propose(trial, self._context, self._opened.bank)
        except InfeasibleError as error:
            record = _infeasible_record(error, self._context, study=self._study, number=trial.number)
            return replace(record, origin=origin(trial))
        trial.set_user_attr("design", design.label())
        outcome = run_trial(
            design,
            self._context,
            self._rule,
            study=self._study,
            number=trial.number,
            bank=self._opened.bank if self._context.settings.bank.use else None,
            front=self._opened.front,
            earlier=self._earlier(design),
        )
        artifacts = self._upload(trial, outcome.tables)
        return replace(outcome.record, origin=origin(trial), artifacts=artifacts)

    def _keep(self, trial: optuna.Trial, record: TrialRecord) -> None:
        for key, value in {"buildable": 0.0, **record.violations}.items():
            trial.set_constraint(key, value)
        trial.set_user_attr("state", record.state)
        if record.reason:
            trial.set_user_attr("reason", record.reason)
        self._records.save(record)

    def _earlier(self, design: Design) -> Outcome | None:
        """An earlier trial of this study that trained the same network to the end, with its tables."""
        record = self._records.find_by_digest(self._study, network_digest(design))
        if record is None or record.state not in ("complete", "copied") or not design.branches:
            return None
        try:
            paths = {split: self._context.artifacts.path(reference) for split, reference in record.artifacts.items()}
        except StorageError:  # gone or changed: the network is trained again
            return None
        tables = {split: load_exit_table(path) for split, path in paths.items()}
        return Outcome(record, tables, None) if {"calibration", "validation"} <= tables.keys() else None

    def _upload(self, trial: optuna.Trial, tables: Mapping[str, ExitTable]) -> dict[str, str]:
        """Keep the exit tables as artifacts of the trial, so that the dashboard offers them; their references."""
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
        """Record a failure of the design; after any other fault the trial counts as cut off, and the study stops."""
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
        """Keep the reason; a worker that fails for lack of memory lets go of what it holds."""
        reason = masked(str(error) if isinstance(error, EenasError) else f"{type(error).__name__}: {error}")
        self._failures.append(reason)
        trial.set_user_attr("reason", reason)
        self._records.save(
            TrialRecord(study=self._study, number=trial.number, state="failed", reason=reason, origin=origin(trial))
        )
        free_memory()


class _SurplusError(StudyError):
    """A trial beyond the study's total."""


class _OvertakenError(StudyError):
    """A trial that another worker runs again."""


class _WholeStore(FileSystemArtifactStore):
    """Optuna's folder of artifacts, in which a full disk leaves no halves."""

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__(store.root)
        self._store = store

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep all of `content_body`, or nothing. Raises StorageError."""
        self._store.check()
        write_atomically(self._store.root / artifact_id, lambda path: path.write_bytes(content_body.read()))


def _infeasible_record(error: InfeasibleError, context: StudyContext, *, study: str, number: int) -> TrialRecord:
    """The record of a proposal that cannot be built: the worst scores, and a constraint that is violated."""
    whole = context.costs(context.plain_design()).costs.of_exit(-1)
    worst = {name: REFERENCE_COST * value for name, value in whole.items()}
    worst[ACCURACY] = 1.0 / context.task.num_classes
    return TrialRecord(
        study=study,
        number=number,
        state="infeasible",
        values=tuple(worst.get(name, 0.0) for name in context.settings.search.objectives),
        violations={"buildable": 1.0},
        reason=str(error),
    )

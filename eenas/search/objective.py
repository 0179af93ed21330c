"""What Optuna calls for each trial: it keeps the record, the artifacts, the constraints and the reasons of failures."""

import contextlib
import gc
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import optuna
import torch
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.exceptions import StorageInternalError

from eenas.designs.design import Design
from eenas.errors import EenasError, InfeasibleError, StorageError, StudyError
from eenas.files import write_whole
from eenas.fronts.hypervolume import hypervolume
from eenas.masking import masked
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.records.artifacts import reference_to
from eenas.records.learning_curves import LearningCurves
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.search.bank import Bank
from eenas.search.design_training import network_digest
from eenas.search.front import offered
from eenas.search.frozen_front import FrozenFront
from eenas.search.known_networks import KnownNetwork
from eenas.search.preparation import Ground
from eenas.search.pruning import PruningRule
from eenas.search.read import read_results, trial_networks
from eenas.search.study import STOPPED, SURPLUS, is_surplus, origin
from eenas.search.trial import Outcome, propose, run_trial

FAILURES = 3
"""So many failures in a row with the same reason end a study."""


class Objective:
    """The objective of one worker. Every trial is recorded before Optuna hears its values."""

    def __init__(self, ground: Ground, study: str, bank: Bank, front: FrozenFront) -> None:
        self._ground, self._study, self._bank, self._front = ground, study, bank, front
        self._records = TrialRecords(ground.database)
        self._store = _WholeStore(ground.artifacts.root)
        self._storage_error: StorageError | None = None
        self._rule = PruningRule(LearningCurves(ground.database), study)
        self._failures: list[str] = []
        results = read_results(ground.database, study)
        self._backbone = results.backbone
        self._points = self._held(results.networks)

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Run one trial and give its values in the order of the study's objectives."""
        try:
            if is_surplus(trial.study, trial.number, self._ground.settings.search.trials):
                trial.set_user_attr("cut_off", SURPLUS)
                raise _SurplusError("another worker had begun the last trial; this one is not run")
            trial.set_user_attr("worker", f"{socket.gethostname()}:{os.getpid()}")
            record = self._run(trial)
            self._keep(trial, record)
        except KeyboardInterrupt:
            trial.set_user_attr("cut_off", STOPPED)
            raise
        except (StorageError, StorageInternalError) as error:  # not the design's fault: it is run again
            self._storage_error = error if isinstance(error, StorageError) else self._ground.database.trouble(error)
            with contextlib.suppress(StorageInternalError):
                trial.set_user_attr("cut_off", STOPPED)
            raise
        except _SurplusError:
            raise
        except Exception as error:
            self._fail(trial, error)
            raise
        self._failures.clear()
        self._points += self._held(trial_networks(record))
        assert record.values is not None
        return record.values

    def trouble(self) -> EenasError | None:
        """Why the study cannot go on: a storage that keeps nothing more, or the last failures, all for one reason."""
        if self._storage_error is not None:
            return StorageError(f"{self._storage_error}; nothing finished was lost")
        last = self._failures[-FAILURES:]
        if len(last) < FAILURES or len(set(last)) > 1:
            return None
        return StudyError(
            f"three trials in a row failed alike: {last[0]}; nothing finished was lost, mend it and go on"
        )

    def best_so_far(self) -> str:
        """A short text: the hypervolume, and the best accuracy at half of the backbone's MACs."""
        if not self._points:
            return ""
        total, chance = self._ground.profile.total_macs, 1.0 / self._ground.task.num_classes
        accuracy, macs = np.array(self._points).T
        area = hypervolume(accuracy, macs / total, reference_cost=1.1, reference_accuracy=chance)
        half = accuracy[macs <= 0.5 * total]
        return f"hypervolume {area:.3f}" + (f", {100 * half.max():.1f} % at 50 % MACs" if len(half) else "")

    def _held(self, networks: Sequence[KnownNetwork]) -> list[tuple[float, float]]:
        """Accuracy and MACs of those points of networks that hold the study's limits."""
        items = offered(networks, self._backbone, self._ground.settings.constraints)
        return [(item.point.accuracy, item.point.expected_macs) for item in items]

    def _run(self, trial: optuna.Trial) -> TrialRecord:
        try:
            design = propose(trial, self._ground, self._bank)
        except InfeasibleError as error:
            record = _infeasible_record(error, self._ground, study=self._study, number=trial.number)
            return replace(record, origin=origin(trial))
        trial.set_user_attr("design", design.label())
        outcome = run_trial(
            design,
            self._ground,
            self._rule,
            study=self._study,
            number=trial.number,
            bank=self._bank if self._ground.settings.bank.use else None,
            front=self._front,
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
            paths = {split: self._ground.artifacts.path(reference) for split, reference in record.artifacts.items()}
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

    def _fail(self, trial: optuna.Trial, error: Exception) -> None:
        """Keep the reason; a worker that fails for lack of memory lets go of what it holds."""
        reason = masked(str(error) if isinstance(error, EenasError) else f"{type(error).__name__}: {error}")
        self._failures.append(reason)
        trial.set_user_attr("reason", reason)
        self._records.save(
            TrialRecord(study=self._study, number=trial.number, state="failed", reason=reason, origin=origin(trial))
        )
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _SurplusError(StudyError):
    """A trial beyond the study's total."""


class _WholeStore(FileSystemArtifactStore):
    """Optuna's folder of artifacts, in which a full disk leaves no halves."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._root = root

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep all of `content_body`, or nothing. Raises StorageError."""
        write_whole(self._root / artifact_id, lambda path: path.write_bytes(content_body.read()))


def _infeasible_record(error: InfeasibleError, ground: Ground, *, study: str, number: int) -> TrialRecord:
    """The record of a proposal that cannot be built: the worst scores, and a constraint that is violated."""
    worst = {
        "accuracy": 1.0 / ground.task.num_classes,
        "macs": 1.1 * ground.profile.total_macs,
        "latency": 1.1 * ground.profile.total_latency.median_ms if ground.profile.total_latency else 0.0,
    }
    return TrialRecord(
        study=study,
        number=number,
        state="infeasible",
        values=tuple(worst[name] for name in ground.settings.search.objectives),
        violations={"buildable": 1.0},
        reason=str(error),
    )

"""The turn of a worker: its claim on the next trial, from taking it to the record that ends it."""

from typing import NoReturn

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError

from eenas.errors import StudyError
from eenas.progress import Listener, Notice
from eenas.records.claims import Claim, Claims, Points
from eenas.records.database import Database
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import worker_name
from eenas.study.study import STOPPED, SURPLUS, first_run_of

AWAY = 60.0
"""The seconds that a database server may be unavailable before the search ends."""


class SurplusError(StudyError):
    """The trial is beyond the study's total, or another worker runs it."""


class Turn:
    """The claim of this worker on one trial after another, at most one at a time. Raises StorageError."""

    def __init__(self, claims: Claims, database: Database, listener: Listener, total: int) -> None:
        self._claims, self._records, self._listener = claims, TrialRecords(database), listener
        self._database, self._total = database, total
        self._claim: Claim | None = None

    def take(self) -> bool:
        """Claim the next trial, and return whether there is one to run. An unused claim is kept for it."""
        if self._claim is None:
            self._claim = self._claims.take(worker_name(), self._total)
        return self._claim is not None

    def give_back(self) -> None:
        """Give the claim on a trial that was not recorded back to the study."""
        claim, self._claim = self._claim, None
        if claim is not None:
            self._claims.give_back(claim)

    def begin(self, trial: optuna.Trial) -> None:
        """Tie the claim to a trial before it draws anything. Raises SurplusError if it may not run."""
        if not self.take():
            _refuse(trial, SURPLUS, "other workers have already started the last trials; this one is not run")
        trial.set_user_attr("worker", worker_name())  # fails if the trial was ended as one of a dead worker
        trial.set_user_attr("torch", torch.__version__)
        if not self._claims.bind(self._held, trial.number):
            _refuse(trial, STOPPED, f"the claim on trial {trial.number} was lost while this worker did not respond")
        first = first_run_of(trial.study._storage.get_trial(trial._trial_id))
        if first is not None and not self._claims.may_rerun(first, trial.number):
            _refuse(trial, SURPLUS, f"another trial already runs trial {first} again; this one is not run")

    def end(self, record: TrialRecord, points: Points = ()) -> None:
        """Record the trial and end the claim, at once. A server that is away for a moment is waited for.

        `points` are those of `Claims.finish`. Raises UpdateFinishedTrialError if another worker was given the trial.
        """
        if self._claims.finish(self._held, record, points):
            self._claim = None
        elif self._records.get(record.study, record.number) != record:  # an earlier try may have reached the server
            raise UpdateFinishedTrialError(f"trial {record.number} was given to another worker")

    def has_server(self, number: int, trouble: Exception) -> bool:
        """Wait for a server that is away while a trained trial is recorded, and return whether it is back."""
        if not self._database.wait_for_server(AWAY):
            return False
        self._listener(Notice(f"trial {number} is recorded again, since the storage was unavailable ({trouble})"))
        return True

    @property
    def _held(self) -> Claim:
        if self._claim is None:
            raise StudyError("a trial runs without a claim; report this as a bug of eenas")
        return self._claim


def _refuse(trial: optuna.Trial, cut_off: str, reason: str) -> NoReturn:
    trial.set_user_attr("cut_off", cut_off)
    raise SurplusError(reason)

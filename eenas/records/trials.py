"""Trial records: design, operating points, values, or the reason for their absence."""

import builtins
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Select, case, delete, select

from eenas.records.database import Database
from eenas.records.rows import read_body, read_record
from eenas.records.tables import LEARNING_CURVES, TRIALS
from eenas.specs import Extended

ROW = "row of a trial"
TrialState = Literal["complete", "stopped", "copied", "infeasible", "failed"]
_USEFUL = {"complete": 0, "copied": 1, "stopped": 2}


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One finished trial. All tables hold plain values (JSON)."""

    study: str
    number: int
    """The number of the trial in Optuna's study."""
    state: TrialState
    design_digest: str = ""
    """The digest of the trained network, empty if there is none."""
    design: dict[str, Any] = field(default_factory=dict)
    points: Sequence[dict[str, Any]] = ()
    """The operating points on the validation split."""
    right: Sequence[str] = ()
    """The correctly answered samples of each point, packed."""
    parameters: int | None = None
    """The number of parameters of the network."""
    chosen: dict[str, Any] | None = None
    """The operating point at the drawn target, which gives the values."""
    values: tuple[Extended, ...] | None = None
    """The values in the order of the study's objectives, None for a failed trial."""
    exit_accuracy: Sequence[float] = ()
    frozen_points: Sequence[dict[str, Any]] = ()
    """The operating points of the design on the frozen backbone, before training. Empty without a bank."""
    frozen_right: Sequence[str] = ()
    """The correctly answered samples of each frozen point, packed."""
    violations: dict[str, Extended] = field(default_factory=dict)
    """The violation of each constraint, at most 0 if it holds."""
    seconds: float = 0.0
    samples: int = 0
    """The number of training samples seen, including those for branches that the bank lacked."""
    reason: str | None = None
    """The reason why it failed, was stopped, copied or infeasible, in one line."""
    origin: str = "sampler"
    artifacts: dict[str, str] = field(default_factory=dict)
    """The references of its artifacts, by kind."""


class TrialRecords:
    """The trials of a database, found by study. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: TrialRecord) -> None:
        """Insert `record`, or replace the one of the same study and number."""
        row = {
            "study": record.study,
            "number": record.number,
            "state": record.state,
            "design_digest": record.design_digest,
            "body": json.dumps(asdict(record)),
        }
        self._database.upsert(TRIALS, row)

    def list(self, study: str) -> list[TrialRecord]:
        """Return the trials of a study by number."""
        return self._read(select(TRIALS.c.body).where(TRIALS.c.study == study).order_by(TRIALS.c.number))

    def get(self, study: str, number: int) -> TrialRecord | None:
        """Return one trial, or None."""
        found = self._read(select(TRIALS.c.body).where((TRIALS.c.study == study) & (TRIALS.c.number == number)))
        return found[0] if found else None

    def numbers(self, study: str) -> set[int]:
        """Return the numbers of a study's trials."""
        with self._database.transaction() as connection:
            return set(connection.execute(select(TRIALS.c.number).where(TRIALS.c.study == study)).scalars())

    def drop(self, study: str, number: int) -> None:
        """Delete a trial and its learning curve, for example because another trial replaces it."""
        one = (TRIALS.c.study == study) & (TRIALS.c.number == number)
        with self._database.transaction() as connection:
            connection.execute(delete(TRIALS).where(one))
            curve = (LEARNING_CURVES.c.study == study) & (LEARNING_CURVES.c.number == number)
            connection.execute(delete(LEARNING_CURVES).where(curve))

    def find_by_digest(self, study: str, digest: str) -> TrialRecord | None:
        """Return the most useful trial of a network, or None.

        The order is complete, copied, stopped, others; then the earliest first.
        """
        usefulness = case(_USEFUL, value=TRIALS.c.state, else_=len(_USEFUL))
        of_network = (TRIALS.c.study == study) & (TRIALS.c.design_digest == digest)
        statement = select(TRIALS.c.body).where(of_network).order_by(usefulness, TRIALS.c.number).limit(1)
        found = self._read(statement)
        return found[0] if found else None

    def _read(self, statement: Select[Any]) -> builtins.list[TrialRecord]:
        with self._database.transaction() as connection:
            bodies = list(connection.execute(statement).scalars())
        return [read_record(TrialRecord, read_body(body, ROW), ROW) for body in bodies]

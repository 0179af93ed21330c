"""What came of each trial: its design, its operating points, its values, or the reason why there are none."""

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
    """One trial that has ended. All tables hold plain values (JSON)."""

    study: str
    number: int
    """Optuna's number of the trial within the study."""
    state: TrialState
    design_digest: str = ""
    """The digest of the network that was trained; empty where there is none."""
    design: dict[str, Any] = field(default_factory=dict)
    points: Sequence[dict[str, Any]] = ()
    """Its operating points on the validation split."""
    right: Sequence[str] = ()
    """For each of the points which samples it answers rightly, packed."""
    parameters: int | None = None
    """The network's parameters."""
    chosen: dict[str, Any] | None = None
    """The operating point at the drawn target, from which the values come."""
    values: tuple[Extended, ...] | None = None
    """In the order of the study's objectives; None for a failed trial."""
    exit_accuracy: Sequence[float] = ()
    frozen_points: Sequence[dict[str, Any]] = ()
    """The operating points that its design had on the frozen backbone, before it was trained; none without a bank."""
    frozen_right: Sequence[str] = ()
    """For each of the frozen points which samples it answers rightly, packed."""
    violations: dict[str, Extended] = field(default_factory=dict)
    """By how much each constraint is violated; at most 0 where it holds."""
    seconds: float = 0.0
    samples: int = 0
    """Training samples seen, those for branches that the bank lacked among them."""
    reason: str | None = None
    """Why it failed, was stopped, copied or infeasible, in one line."""
    origin: str = "sampler"
    artifacts: dict[str, str] = field(default_factory=dict)
    """References of its artifacts, by what they are."""


class TrialRecords:
    """The trials of a database, found by study. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: TrialRecord) -> None:
        """Keep `record` whole, in the place of an earlier one of the same study and number."""
        row = {
            "study": record.study,
            "number": record.number,
            "state": record.state,
            "design_digest": record.design_digest,
            "body": json.dumps(asdict(record)),
        }
        self._database.upsert(TRIALS, row)

    def list(self, study: str) -> list[TrialRecord]:
        """The trials of a study by number."""
        return self._read(select(TRIALS.c.body).where(TRIALS.c.study == study).order_by(TRIALS.c.number))

    def get(self, study: str, number: int) -> TrialRecord | None:
        """One trial, or None."""
        found = self._read(select(TRIALS.c.body).where((TRIALS.c.study == study) & (TRIALS.c.number == number)))
        return found[0] if found else None

    def numbers(self, study: str) -> set[int]:
        """The numbers of a study's trials."""
        with self._database.transaction() as connection:
            return set(connection.execute(select(TRIALS.c.number).where(TRIALS.c.study == study)).scalars())

    def drop(self, study: str, number: int) -> None:
        """Forget a trial in whose place another one counts."""
        one = (TRIALS.c.study == study) & (TRIALS.c.number == number)
        with self._database.transaction() as connection:
            connection.execute(delete(TRIALS).where(one))
            curve = (LEARNING_CURVES.c.study == study) & (LEARNING_CURVES.c.number == number)
            connection.execute(delete(LEARNING_CURVES).where(curve))

    def find_by_digest(self, study: str, digest: str) -> TrialRecord | None:
        """The most useful trial of a network: complete before copied, stopped and the rest, then the earliest."""
        usefulness = case(_USEFUL, value=TRIALS.c.state, else_=len(_USEFUL))
        of_network = (TRIALS.c.study == study) & (TRIALS.c.design_digest == digest)
        statement = select(TRIALS.c.body).where(of_network).order_by(usefulness, TRIALS.c.number).limit(1)
        found = self._read(statement)
        return found[0] if found else None

    def _read(self, statement: Select[Any]) -> builtins.list[TrialRecord]:
        with self._database.transaction() as connection:
            bodies = list(connection.execute(statement).scalars())
        return [read_record(TrialRecord, read_body(body, ROW), ROW) for body in bodies]

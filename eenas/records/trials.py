"""Trial records: design, operating points, values, or the reason for their absence."""

import builtins
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Select, case, func, select

from eenas.bounds import damage_as
from eenas.designs.design import Design
from eenas.errors import EenasError, StorageError
from eenas.policies.operating_point import OperatingPoint
from eenas.records.database import Database
from eenas.records.rows import FIX, read_body, read_record
from eenas.records.tables import TRIALS
from eenas.specs import Extended

ROW = "row of a trial"
TrialState = Literal["complete", "stopped", "copied", "infeasible", "failed"]
_USEFUL = {"complete": 0, "copied": 1, "stopped": 2}


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One finished trial: its design, its operating points, and its values or the reason why it has none."""

    study: str
    number: int
    """The number of the trial in Optuna's study."""
    state: TrialState
    design_digest: str = ""
    """The digest of the trained network, empty if there is none."""
    design: Design | None = None
    points: tuple[OperatingPoint, ...] = ()
    """The operating points on the validation split."""
    right: tuple[str, ...] = ()
    """The correctly answered samples of each point, packed."""
    parameters: int | None = None
    """The number of parameters of the network."""
    chosen: OperatingPoint | None = None
    """The operating point at the drawn target, which gives the values."""
    values: tuple[Extended, ...] | None = None
    """The values in the order of the study's objectives, None for a failed trial."""
    exit_accuracy: tuple[float, ...] = ()
    frozen_points: tuple[OperatingPoint, ...] = ()
    """The operating points of the design on the frozen backbone, before training. Empty without a bank."""
    frozen_right: tuple[str, ...] = ()
    """The correctly answered samples of each frozen point, packed."""
    violations: Mapping[str, Extended] = field(default_factory=dict)
    """The violation of each constraint, at most 0 if it holds."""
    seconds: float = 0.0
    samples: int = 0
    """The number of training samples seen, including those for branches that the bank lacked."""
    reason: str | None = None
    """The reason why it failed, was stopped, copied or infeasible, in one line."""
    origin: str = "sampler"
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """The references of its artifacts, by kind."""

    @property
    def missed(self) -> dict[str, float]:
        """By how much the chosen point misses each limit that it misses."""
        return {name: by for name, by in self.violations.items() if by > 0}

    def to_table(self) -> dict[str, Any]:
        """Return plain values for `from_table`."""
        return {
            **vars(self),
            "design": {} if self.design is None else self.design.to_table(),
            "points": [point.to_table() for point in self.points],
            "chosen": None if self.chosen is None else self.chosen.to_table(),
            "violations": dict(self.violations),
            "frozen_points": [point.to_table() for point in self.frozen_points],
            "artifacts": dict(self.artifacts),
        }

    @classmethod
    def from_table(cls, table: Any) -> "TrialRecord":
        """Return the trial that `to_table` wrote. Raises StorageError for a damaged table.

        A design or policy with a plug-in that is not loaded raises the error of its kind.
        """
        made: dict[str, Any] = {}
        if isinstance(table, Mapping):
            design, chosen = table.get("design"), table.get("chosen")
            with damage_as(StorageError, f"the database's {ROW}", FIX):
                made["design"] = Design.from_table(design, key=f"trial {table.get('number')}") if design else None
                made["chosen"] = OperatingPoint.from_table(chosen) if chosen else None
                for name in ("points", "frozen_points"):
                    made[name] = tuple(OperatingPoint.from_table(point) for point in table.get(name, ()))
            table = {**table, **made}
        return read_record(cls, table, ROW)


class TrialRecords:
    """The trials of a database, found by study. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: TrialRecord) -> None:
        """Insert `record`, or replace the one of the same study and number."""
        self._database.upsert(TRIALS, row_of(record))

    def list(self, study: str) -> list[TrialRecord]:
        """Return the trials of a study by number."""
        return self._read(select(TRIALS.c.body).where(TRIALS.c.study == study).order_by(TRIALS.c.number))

    def readable(self, study: str) -> builtins.list[TrialRecord]:
        """Return the trials of a study that this process can read: their plug-ins are loaded, their version known."""
        found = []
        for body in self._bodies(select(TRIALS.c.body).where(TRIALS.c.study == study).order_by(TRIALS.c.number)):
            try:
                found.append(TrialRecord.from_table(read_body(body, ROW)))
            except StorageError:
                raise
            except EenasError:
                continue
        return found

    def get(self, study: str, number: int) -> TrialRecord | None:
        """Return one trial, or None."""
        found = self._read(select(TRIALS.c.body).where((TRIALS.c.study == study) & (TRIALS.c.number == number)))
        return found[0] if found else None

    def recorded(self, study: str, numbers: Collection[int]) -> set[int]:
        """Return those of `numbers` that have a record."""
        if not numbers:
            return set()
        wanted = (TRIALS.c.study == study) & TRIALS.c.number.in_(numbers)
        with self._database.transaction() as connection:
            return set(connection.execute(select(TRIALS.c.number).where(wanted)).scalars())

    def states(self, study: str) -> dict[str, int]:
        """Return the number of a study's trials in each state that occurs, by name of the state."""
        counted = select(TRIALS.c.state, func.count()).where(TRIALS.c.study == study).group_by(TRIALS.c.state)
        with self._database.transaction() as connection:
            return {row[0]: row[1] for row in connection.execute(counted.order_by(TRIALS.c.state))}

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
        bodies = self._bodies(statement)
        return [TrialRecord.from_table(read_body(body, ROW)) for body in bodies]

    def _bodies(self, statement: Select[Any]) -> builtins.list[str]:
        with self._database.transaction() as connection:
            return builtins.list(connection.execute(statement).scalars())


def row_of(record: TrialRecord) -> dict[str, Any]:
    """Return the row of a trial in its table."""
    return {
        "study": record.study,
        "number": record.number,
        "state": record.state,
        "design_digest": record.design_digest,
        "body": json.dumps(record.to_table()),
    }

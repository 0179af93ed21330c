"""The learning curves of trials, from which pruning decides about later trials."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.rows import read_body, read_record
from eenas.records.tables import LEARNING_CURVES

ROW = "learning curve of a trial"


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """The learning curve of one finished trial.

    `method` is the training method. `values` are pairs of the progress in [0, 1] and the hypervolume on calibration
    samples, in order. A trial that was trained to its end has a last pair at progress 1.
    """

    study: str
    number: int
    """The number of the trial in Optuna's study."""
    method: str
    values: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Raise SpecError unless the values are pairs."""
        for pair in self.values:
            if len(pair) != 2:
                raise SpecError(f"a learning curve must hold pairs of numbers, got {shortened(pair)}")

    @property
    def end(self) -> float | None:
        """The hypervolume at the end of training, None for a pruned trial."""
        return self.values[-1][1] if self.values and self.values[-1][0] == 1.0 else None


class LearningCurves:
    """The learning curves of a database, found by study. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, curve: LearningCurve) -> None:
        """Insert `curve`, or replace the one of the same study and number."""
        row = {
            "study": curve.study,
            "number": curve.number,
            "method": curve.method,
            "curve": json.dumps(curve.values),
        }
        self._database.upsert(LEARNING_CURVES, row)

    def list(self, study: str, *, known: Collection[int] = (), first: int = 0) -> list[LearningCurve]:
        """Return the curves of a study by number, from the trial `first` on and without those in `known`."""
        table = LEARNING_CURVES
        of_study = (table.c.study == study) & (table.c.number >= first)
        with self._database.transaction() as connection:
            numbers = connection.execute(select(table.c.number).where(of_study)).scalars()
            new = set(numbers).difference(known)
            if not new:
                return []
            since = of_study & (table.c.number >= min(new))
            rows = connection.execute(select(table).where(since).order_by(table.c.number)).all()
        return [_curve(row) for row in rows if row.number in new]


def _curve(row: Row[Any]) -> LearningCurve:
    own = {"study": row.study, "number": row.number, "method": row.method}
    return read_record(LearningCurve, {**own, "values": read_body(row.curve, ROW)}, ROW)

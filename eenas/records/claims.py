"""Claims: the right to run one trial of a study, which makes the total exact under any number of workers."""

import builtins
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from eenas.bounds import damage_as
from eenas.errors import StorageError
from eenas.fronts.dominance import pareto_mask
from eenas.records.database import Database
from eenas.records.rows import FIX, read_body
from eenas.records.tables import CLAIMS, LEARNING_CURVES, PROGRESS, RERUNS, TRIALS
from eenas.records.trials import TrialRecord, row_of

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Claim:
    """The right of `worker` to run one trial. `number` is that of its trial in Optuna, None before it has one."""

    key: str
    worker: str
    number: int | None = None


class Claims:
    """The claims and the progress of one study. Raises StorageError.

    Every trial needs a claim, and claims and ended trials together never exceed the total: one row counts them. A claim
    ends in the transaction that records its trial, or it is given back. A worker that lost its claim, because it showed
    no life, cannot record its trial any more. All counts are rows of their own: no method reads all trials except
    `sync`.
    """

    def __init__(self, database: Database, study: str) -> None:
        self._database, self._study = database, study
        self._progress = PROGRESS.c.study == study

    def sync(self) -> None:
        """Create the progress of the study, or count it again from its records and claims."""
        self._database.insert(PROGRESS, {"study": self._study, "held": 0, "ended": 0, "best": "[]"})
        with self._database.transaction() as connection:
            connection.execute(update(PROGRESS).where(self._progress).values(ended=PROGRESS.c.ended))  # the lock
            trials = select(func.count()).select_from(TRIALS).where(TRIALS.c.study == self._study)
            claims = select(func.count()).select_from(CLAIMS).where(CLAIMS.c.study == self._study)
            ended = connection.execute(trials).scalar_one()
            held = ended + connection.execute(claims).scalar_one()
            connection.execute(update(PROGRESS).where(self._progress).values(ended=ended, held=held))

    def take(self, worker: str, total: int) -> Claim | None:
        """Claim one trial for `worker`, or return None if ended and claimed trials already make up `total`."""
        room = update(PROGRESS).where(self._progress & (PROGRESS.c.held < total)).values(held=PROGRESS.c.held + 1)
        claim = Claim(uuid4().hex, worker)
        with self._database.transaction() as connection:
            if connection.execute(room.returning(PROGRESS.c.held)).first() is None:
                return None
            row = {"study": self._study, "key": claim.key, "worker": worker, "number": None}
            connection.execute(CLAIMS.insert().values(**row))
        return claim

    def bind(self, claim: Claim, number: int) -> bool:
        """Tie a claim to the trial `number`, and return False if the claim was lost."""
        return self._database.change(update(CLAIMS).where(self._of(claim)).values(number=number))

    def may_rerun(self, first: int, number: int) -> bool:
        """Whether the trial `number` is the one that runs the trial `first` again: the first that asks is."""
        with self._database.transaction() as connection:
            row = {"study": self._study, "number": first, "run_by": number}
            connection.execute(self._database.insertion(RERUNS, row))
            of_first = (RERUNS.c.study == self._study) & (RERUNS.c.number == first)
            return connection.execute(select(RERUNS.c.run_by).where(of_first)).scalar() == number

    def finish(self, claim: Claim, record: TrialRecord, points: Points = ()) -> bool:
        """Record the trial of a claim and end the claim, in one transaction. Return False if the claim was lost.

        `points` are pairs of accuracy and MACs that the trial adds to the best of the study.
        """
        with self._database.transaction() as connection:
            if connection.execute(delete(CLAIMS).where(self._of(claim)).returning(CLAIMS.c.key)).first() is None:
                return False
            connection.execute(self._database.upsertion(TRIALS, row_of(record)))
            ended = update(PROGRESS).where(self._progress).values(ended=PROGRESS.c.ended + 1)
            connection.execute(ended)
            self._merge(connection, points)
        return True

    def give_back(self, claim: Claim) -> bool:
        """End a claim without a record, so that another trial may take its place. Return whether it was still held."""
        with self._database.transaction() as connection:
            if connection.execute(delete(CLAIMS).where(self._of(claim)).returning(CLAIMS.c.key)).first() is None:
                return False
            connection.execute(update(PROGRESS).where(self._progress).values(held=PROGRESS.c.held - 1))
        return True

    def withdraw(self, number: int) -> None:
        """Delete a recorded trial, and its learning curve, that was failed from outside and is run again."""
        with self._database.transaction() as connection:
            one = (TRIALS.c.study == self._study) & (TRIALS.c.number == number)
            if connection.execute(delete(TRIALS).where(one).returning(TRIALS.c.number)).first() is None:
                return
            of_trial = (LEARNING_CURVES.c.study == self._study) & (LEARNING_CURVES.c.number == number)
            connection.execute(delete(LEARNING_CURVES).where(of_trial))
            counts = {"ended": PROGRESS.c.ended - 1, "held": PROGRESS.c.held - 1}
            connection.execute(update(PROGRESS).where(self._progress).values(**counts))

    def seize(self, number: int, worker: str) -> Claim | None:
        """Take over the claim on a trial from a dead worker, who loses it. None if nobody has it."""
        claim = Claim(uuid4().hex, worker, number)
        of_trial = (CLAIMS.c.study == self._study) & (CLAIMS.c.number == number)
        if self._database.change(update(CLAIMS).where(of_trial).values(key=claim.key, worker=worker)):
            return claim
        return None

    def list(self) -> builtins.list[Claim]:
        """Return the claims that are held, at most one for each worker that is alive."""
        statement = select(CLAIMS.c.key, CLAIMS.c.worker, CLAIMS.c.number).where(CLAIMS.c.study == self._study)
        with self._database.transaction() as connection:
            return [Claim(row.key, row.worker, row.number) for row in connection.execute(statement)]

    def ended(self) -> int:
        """Return the number of recorded trials."""
        with self._database.transaction() as connection:
            return connection.execute(select(PROGRESS.c.ended).where(self._progress)).scalar() or 0

    def begun(self) -> bool:
        """Whether a worker has claimed a trial of the study, which it does after it has opened all of it."""
        with self._database.transaction() as connection:
            return bool(connection.execute(select(PROGRESS.c.held).where(self._progress)).scalar())

    def best(self) -> builtins.list[tuple[float, float]]:
        """Return the pairs of accuracy and MACs of all workers' trials that no other pair dominates."""
        with self._database.transaction() as connection:
            return _read(connection.execute(select(PROGRESS.c.best).where(self._progress)).scalar())

    def add_best(self, points: Points) -> None:
        """Add pairs of accuracy and MACs to the best of the study, such as those of its baselines."""
        with self._database.transaction() as connection:
            self._merge(connection, points)

    def _merge(self, connection: Connection, points: Points) -> None:
        if not points:
            return
        locked = select(PROGRESS.c.best).where(self._progress).with_for_update()
        before = _read(connection.execute(locked).scalar())
        after = _undominated({*before, *points})
        if after != before:
            connection.execute(update(PROGRESS).where(self._progress).values(best=json.dumps(after)))

    def _of(self, claim: Claim) -> ColumnElement[bool]:
        return (CLAIMS.c.study == self._study) & (CLAIMS.c.key == claim.key)


def _undominated(points: Collection[tuple[float, float]]) -> list[tuple[float, float]]:
    ordered = sorted((float(accuracy), float(macs)) for accuracy, macs in points)
    keep = pareto_mask(np.array(ordered), [True, False])
    return [point for point, stays in zip(ordered, keep, strict=True) if stays]


def _read(text: object) -> list[tuple[float, float]]:
    with damage_as(StorageError, "the progress of a study in the database", FIX):
        return [(float(accuracy), float(macs)) for accuracy, macs in read_body(text or "[]", "progress of a study")]

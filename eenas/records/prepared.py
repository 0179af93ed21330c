"""Backbones that were trained on a task once, so that no later study trains them again."""

import json
from dataclasses import asdict, dataclass

from sqlalchemy import select, update

from eenas.records.database import Database
from eenas.records.rows import read_body, read_record
from eenas.records.tables import PREPARED

ROW = "row of a prepared backbone"


@dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """A prepared backbone: what it was made from, where its weights are, and how good it is."""

    key: str
    """The digest of everything that its weights depend on."""
    backbone: str
    task: str
    """The task's digest."""
    training: str
    """The digest of its training's specification."""
    seed: int
    artifact: str
    """The reference that `ArtifactStore.write` gave; empty for a backbone that was kept as it was given."""
    accuracy: float
    """On the validation split, 0 to 1."""
    how: str = ""
    """What was done to it, in one line."""


class PreparedRecords:
    """The prepared backbones of a database; every study of it shares them. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, record: PreparedRecord, *, instead_of: PreparedRecord | None = None) -> bool:
        """Keep `record` in the place of `instead_of` (None: of nothing); whether that was still what is there."""
        body = json.dumps(asdict(record))
        with self._database.transaction() as connection:
            row = connection.execute(select(PREPARED.c.body).where(PREPARED.c.key == record.key)).first()
        if row is None:
            return self._database.insert(PREPARED, {"key": record.key, "body": body})
        if instead_of != _record(row.body):
            return False
        same = (PREPARED.c.key == record.key) & (PREPARED.c.body == row.body)
        return self._database.change(update(PREPARED).where(same).values(body=body))

    def find(self, key: str) -> PreparedRecord | None:
        """The record with this key, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(select(PREPARED.c.body).where(PREPARED.c.key == key)).first()
        return None if row is None else _record(row.body)


def _record(body: str) -> PreparedRecord:
    return read_record(PreparedRecord, read_body(body, ROW), ROW)

"""The prepared backbones of a database, trained on a task once and reused by later studies."""

import json
from dataclasses import asdict, dataclass

from sqlalchemy import select, update

from eenas.records.database import Database
from eenas.records.rows import read_body, read_record
from eenas.records.tables import PREPARED

ROW = "row of a prepared backbone"


@dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """A prepared backbone: its origin, the reference of its weights, and its accuracy."""

    key: str
    """The digest of everything that its weights depend on."""
    backbone: str
    task: str
    """The task's digest."""
    training: str
    """The digest of the training specification."""
    seed: int
    artifact: str
    """The reference from `ArtifactStore.write`. Empty for a backbone that was used as given."""
    accuracy: float
    """The accuracy on the validation split, 0 to 1."""
    how: str = ""
    """How it was prepared, in one line."""


class PreparedRecords:
    """The prepared backbones of a database, shared by its studies. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: PreparedRecord, *, replacing: PreparedRecord | None = None) -> bool:
        """Save `record` in place of `replacing` (None for no record), and return whether that was still current."""
        body = json.dumps(asdict(record))
        with self._database.transaction() as connection:
            row = connection.execute(select(PREPARED.c.body).where(PREPARED.c.key == record.key)).first()
        if row is None:
            return self._database.insert(PREPARED, {"key": record.key, "body": body})
        if replacing != _record(row.body):
            return False
        same = (PREPARED.c.key == record.key) & (PREPARED.c.body == row.body)
        return self._database.change(update(PREPARED).where(same).values(body=body))

    def find(self, key: str) -> PreparedRecord | None:
        """Return the record with this key, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(select(PREPARED.c.body).where(PREPARED.c.key == key)).first()
        return None if row is None else _record(row.body)


def _record(body: str) -> PreparedRecord:
    return read_record(PreparedRecord, read_body(body, ROW), ROW)

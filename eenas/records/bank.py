"""The rows of the branch bank: the branches trained on a frozen backbone and the references of their artifacts."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import delete, select

from eenas.records.database import Database
from eenas.records.rows import read_body, read_record
from eenas.records.tables import BANK

ROW = "row of a branch in the bank"


@dataclass(frozen=True, kw_only=True)
class BankRecord:
    """One branch of the bank, or the backbone's own classifier (`branch` empty)."""

    key: str
    """The digest of everything that the weights depend on."""
    backbone: str
    """The digest of the prepared backbone, weights included."""
    cut_point: str
    branch: dict[str, Any] = field(default_factory=dict)
    """The specification of the branch."""
    task: str
    """The task's digest, splits included."""
    samples: int
    """The number of training samples seen."""
    artifact: str
    """The reference from `ArtifactStore.write`."""

    @property
    def file(self) -> str:
        """The file name of the artifact."""
        return self.artifact.partition("@")[0]


class BankRecords:
    """The branches of a database, shared by all studies on the same prepared backbone. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: BankRecord) -> bool:
        """Insert `record` unless its key exists, for example from another worker. Return whether it was inserted."""
        row = {"key": record.key, "backbone": record.backbone, "body": json.dumps(asdict(record))}
        return self._database.insert(BANK, row)

    def find(self, keys: Iterable[str]) -> dict[str, BankRecord]:
        """Return the existing records with these keys, by key."""
        wanted, found = list(dict.fromkeys(keys)), {}
        with self._database.transaction() as connection:
            for start in range(0, len(wanted), 500):  # databases limit the number of values in a statement
                some = BANK.c.key.in_(wanted[start : start + 500])
                for body in connection.execute(select(BANK.c.body).where(some)).scalars():
                    record = read_record(BankRecord, read_body(body, ROW), ROW)
                    found[record.key] = record
        return found

    def count(self, backbone: str) -> int:
        """Return the number of rows of a prepared backbone."""
        with self._database.transaction() as connection:
            return len(connection.execute(select(BANK.c.key).where(BANK.c.backbone == backbone)).all())

    def drop(self, record: BankRecord) -> None:
        """Delete a record whose artifact is missing or was changed. A newer record with its key stays."""
        same = (BANK.c.key == record.key) & (BANK.c.body == json.dumps(asdict(record)))
        with self._database.transaction() as connection:
            connection.execute(delete(BANK).where(same))

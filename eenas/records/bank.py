"""The branch bank's rows: which branches were trained on a frozen backbone, and where their weights and logits are."""

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
    """One branch of the bank, or the plain backbone's own answers (`branch` empty)."""

    key: str
    """The digest of everything that the weights depend on."""
    backbone: str
    """The digest of the prepared backbone, weights included."""
    cut_point: str
    branch: dict[str, Any] = field(default_factory=dict)
    """The structure's table."""
    task: str
    """The task's digest, splits included."""
    samples: int
    """Training samples seen."""
    artifact: str
    """The reference that `ArtifactStore.write` gave."""

    @property
    def file(self) -> str:
        """The name of the artifact's file."""
        return self.artifact.partition("@")[0]


class BankRecords:
    """The branches of a database; every study on the same prepared backbone shares them. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: BankRecord) -> bool:
        """Keep `record` unless another worker kept one of the same key before; whether it was kept."""
        row = {"key": record.key, "backbone": record.backbone, "body": json.dumps(asdict(record))}
        return self._database.insert(BANK, row)

    def find(self, keys: Iterable[str]) -> dict[str, BankRecord]:
        """The records with these keys, as far as there are any."""
        wanted, found = list(dict.fromkeys(keys)), {}
        with self._database.transaction() as connection:
            for start in range(0, len(wanted), 500):  # databases limit the values of a statement
                some = BANK.c.key.in_(wanted[start : start + 500])
                for body in connection.execute(select(BANK.c.body).where(some)).scalars():
                    record = read_record(BankRecord, read_body(body, ROW), ROW)
                    found[record.key] = record
        return found

    def count(self, backbone: str) -> int:
        """How many rows belong to a prepared backbone."""
        with self._database.transaction() as connection:
            return len(connection.execute(select(BANK.c.key).where(BANK.c.backbone == backbone)).all())

    def drop(self, record: BankRecord) -> None:
        """Forget a record whose artifact is gone or was changed; one that came in its place stays."""
        same = (BANK.c.key == record.key) & (BANK.c.body == json.dumps(asdict(record)))
        with self._database.transaction() as connection:
            connection.execute(delete(BANK).where(same))

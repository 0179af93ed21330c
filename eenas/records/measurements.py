"""Measurements kept in the database by what was measured and where, so that nothing is measured twice."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.rows import damaged, read_body
from eenas.records.tables import MEASUREMENTS

MEASURED = ("macs/", "latency/", "execution/")
"""What keys of measurements begin with; others are of results that follow from a digest."""


class DatabaseCache:
    """A `MeasurementCache` in a study's database; values that were seen once are not read again.

    With `anew` what an earlier process measured is not believed: it is measured again, and replaced for everybody.
    """

    def __init__(self, database: Database, *, anew: bool = False, kept: Callable[[], object] | None = None) -> None:
        """`kept` is called whenever something new was kept, and may raise."""
        self._database, self._anew, self._kept = database, anew, kept
        self._seen: dict[str, str] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """The value kept under `key`, or None. Raises StorageError."""
        digest = _digest(key)
        if digest not in self._seen:
            if self._anew and key.startswith(MEASURED):
                return None
            kept = self._read(digest)
            if kept is None:
                return None
            self._seen[digest] = kept
        return _table(self._seen[digest], key)

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """Keep `value` (a table of plain values) under `key` unless another worker was first; what is kept then.

        Workers that measured the same at once go on with the same. Raises StorageError.
        """
        digest = _digest(key)
        row = {"digest": digest, "key": key, "value": json.dumps(value)}
        if self._anew and key.startswith(MEASURED) and digest not in self._seen:
            self._database.upsert(MEASUREMENTS, row)
        else:
            self._database.insert(MEASUREMENTS, row)
        self._seen.pop(digest, None)
        kept = self._read(digest)
        self._seen[digest] = row["value"] if kept is None else kept
        found = _table(self._seen[digest], key)
        if self._kept is not None:
            self._kept()
        return found

    def _read(self, digest: str) -> str | None:
        with self._database.transaction() as connection:
            row = connection.execute(select(MEASUREMENTS.c.value).where(MEASUREMENTS.c.digest == digest)).first()
        return None if row is None else str(row.value)


def _table(text: str, key: str) -> dict[str, Any]:
    value = read_body(text, where := f"measurement {shortened(key)}")
    if not isinstance(value, dict):
        raise damaged(where, f"must be a table, got {shortened(value)}")
    return value


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

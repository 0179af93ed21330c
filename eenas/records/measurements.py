"""Measurements kept in the database by what was measured and where, so that nothing is measured twice."""

import hashlib
import json
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

    def __init__(self, database: Database, *, anew: bool = False) -> None:
        self._database, self._anew = database, anew
        self._seen: dict[str, str] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """The value kept under `key`, or None. Raises StorageError."""
        digest = _digest(key)
        if digest not in self._seen:
            if self._anew and key.startswith(MEASURED):
                return None
            with self._database.transaction() as connection:
                row = connection.execute(select(MEASUREMENTS.c.value).where(MEASUREMENTS.c.digest == digest)).first()
            if row is None:
                return None
            self._seen[digest] = row.value
        value = read_body(self._seen[digest], where := f"measurement {shortened(key)}")
        if not isinstance(value, dict):
            raise damaged(where, f"must be a table, got {shortened(value)}")
        return value

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep `value` (a table of plain values) under `key`, in the place of an earlier one. Raises StorageError."""
        text = json.dumps(value)
        self._database.upsert(MEASUREMENTS, {"digest": _digest(key), "key": key, "value": text})
        self._seen[_digest(key)] = text


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

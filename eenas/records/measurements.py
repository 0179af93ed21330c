"""The measurement cache: measurements in the database by their key, so that none is taken twice."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.rows import read_table
from eenas.records.tables import MEASUREMENTS

MEASURED = ("macs/", "latency/", "execution/")
"""The prefixes of keys of measurements. Other keys are of results that follow from a digest."""


class DatabaseCache:
    """A `MeasurementCache` in a study's database. Values are read from the database once.

    With `remeasure`, measurements of earlier processes are ignored and replaced.
    """

    def __init__(
        self,
        database: Database,
        *,
        remeasure: bool = False,
        leases: Leases | None = None,
        after_put: Callable[[], object] | None = None,
    ) -> None:
        """`leases` are those of `once`. `after_put` is called whenever a value was stored and may raise."""
        self.database, self._remeasure, self._after_put = database, remeasure, after_put
        self._leases = leases or Leases(database)
        self._seen: dict[str, str] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the value of `key`, or None. Raises StorageError."""
        digest = _digest(key)
        if digest not in self._seen:
            if self._remeasure and key.startswith(MEASURED):
                return None
            kept = self._read(digest)
            if kept is None:
                return None
            self._seen[digest] = kept
        return _table(self._seen[digest], key)

    def put(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """Store `value` (a table of plain values) under `key` and return the stored value.

        The first worker wins: workers that measure the same at the same time continue with equal values. Raises
        StorageError.
        """
        digest = _digest(key)
        row = {"digest": digest, "key": key, "value": json.dumps(value)}
        if self._remeasure and key.startswith(MEASURED) and digest not in self._seen:
            self.database.upsert(MEASUREMENTS, row)
        else:
            self.database.insert(MEASUREMENTS, row)
        self._seen.pop(digest, None)
        kept = self._read(digest)
        self._seen[digest] = row["value"] if kept is None else kept
        found = _table(self._seen[digest], key)
        if self._after_put is not None:
            self._after_put()
        return found

    def once(self, key: str, work: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """See `MeasurementCache.once`. The lease is named after the key; what is there is read without it."""
        kept = self.get(key)
        return self._leases.once(key, work, lambda: self.get(key) or self.put(key, make())) if kept is None else kept

    def _read(self, digest: str) -> str | None:
        with self.database.transaction() as connection:
            row = connection.execute(select(MEASUREMENTS.c.value).where(MEASUREMENTS.c.digest == digest)).first()
        return None if row is None else str(row.value)


def _table(text: str, key: str) -> dict[str, Any]:
    return read_table(text, f"measurement {shortened(key)}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

"""Requests for latencies: workers of other nodes ask the node that measures a study, through its database."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from eenas.records.database import Database
from eenas.records.rows import read_table
from eenas.records.tables import MEASUREMENTS
from eenas.specs import digest

_PREFIX = "wanted/"
"""The beginning of the digests of requests, by which the primary key finds them."""


class LatencyRequests:
    """The requests for measurements by one node. Each is a table of JSON data, and so is its answer.

    They are rows of the measurement cache: open ones have the key "wanted", answered ones the key "answer".
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._first = f"{_PREFIX}{digest([node])}/"
        self._last = f"{self._first[:-1]}0"

    def ask(self, request: Mapping[str, Any]) -> str:
        """Store a request unless it is there, and return its identifier. Raises StorageError."""
        found = f"{self._first}{digest(request)}"
        self._database.insert(MEASUREMENTS, {"digest": found, "key": "wanted", "value": json.dumps(request)})
        return found

    def open(self) -> dict[str, dict[str, Any]]:
        """Return the requests without an answer, by identifier. Raises StorageError."""
        columns = MEASUREMENTS.c
        chosen = (columns.digest >= self._first) & (columns.digest < self._last) & (columns.key == "wanted")
        with self._database.transaction() as connection:
            rows = connection.execute(select(columns.digest, columns.value).where(chosen)).all()
        return {row.digest: read_table(str(row.value), "a request for a latency") for row in rows}

    def reply(self, identifier: str, answer: Mapping[str, Any]) -> None:
        """Store the answer of a request. Raises StorageError."""
        chosen = (MEASUREMENTS.c.digest == identifier) & (MEASUREMENTS.c.key == "wanted")
        self._database.change(update(MEASUREMENTS).where(chosen).values(key="answer", value=json.dumps(answer)))

    def answer(self, identifier: str) -> dict[str, Any] | None:
        """Return the answer of a request, None as long as there is none. Raises StorageError."""
        columns = MEASUREMENTS.c
        with self._database.transaction() as connection:
            row = connection.execute(select(columns.key, columns.value).where(columns.digest == identifier)).first()
        return None if row is None or row.key != "answer" else read_table(str(row.value), "an answer with a latency")

    def forget(self, identifier: str) -> None:
        """Delete a request with its answer. Raises StorageError."""
        self._database.change(delete(MEASUREMENTS).where(MEASUREMENTS.c.digest == identifier))

"""Studies as they were asked for: identity, settings, facts and baselines."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, update

from eenas.errors import StudyError
from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.rows import damaged, read_body, read_record
from eenas.records.tables import STUDIES


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What a study is, beside its trials. All tables hold plain values (JSON)."""

    name: str
    identity: dict[str, Any]
    identity_digest: str
    settings: dict[str, Any]
    """The whole study file, overrides included."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What was found about task, device and backbone when the study began."""
    baselines: dict[str, Any] = field(default_factory=dict)
    """The operating points of each baseline by its name; empty before they are measured."""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    """When the study was first saved, in UTC (ISO 8601, so that texts sort by time)."""


class StudyRecords:
    """The studies of a database. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: StudyRecord) -> None:
        """Keep a study, or bring the settings and facts of one that continues up to date.

        The first save's `created` stays, and so do baselines when `record` has none. Raises StudyError when another
        identity has the name; nothing is changed then.
        """
        body = {"identity": record.identity, "settings": record.settings, "facts": record.facts}
        row = {
            "name": record.name,
            "identity_digest": record.identity_digest,
            "created": record.created,
            "body": json.dumps(body),
            "baselines": json.dumps(record.baselines),
        }
        keep = ("created",) if record.baselines else ("created", "baselines")
        if not self._database.upsert(STUDIES, row, keep=keep, only_same="identity_digest"):
            raise StudyError(f"the study {record.name!r} belongs to another search; give another --name")

    def get(self, name: str) -> StudyRecord | None:
        """The study of this name, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(select(STUDIES).where(STUDIES.c.name == name)).first()
        return None if row is None else _record(row)

    def list(self) -> list[StudyRecord]:
        """All studies, the oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(STUDIES).order_by(STUDIES.c.created, STUDIES.c.name)).all()
        return [_record(row) for row in rows]

    def update_baselines(self, name: str, baselines: Mapping[str, Any]) -> None:
        """Replace the baselines of a study. Raises StudyError when there is no such study."""
        statement = update(STUDIES).where(STUDIES.c.name == name).values(baselines=json.dumps(baselines))
        with self._database.transaction() as connection:
            if connection.execute(statement).rowcount == 0:
                raise StudyError(f"no study {name!r} in this storage; save it before its baselines")


def _record(row: Row[Any]) -> StudyRecord:
    where = f"row of the study {shortened(row.name)}"
    body = read_body(row.body, where)
    if not isinstance(body, dict):
        raise damaged(where, f"must be a table, got {shortened(body)}")
    own = {"name": row.name, "identity_digest": row.identity_digest, "created": row.created}
    return read_record(StudyRecord, {**body, **own, "baselines": read_body(row.baselines, where)}, where)

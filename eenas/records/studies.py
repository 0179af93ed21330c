"""Study records: identity, settings, facts and baselines."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, column, delete, inspect, select, table, update

from eenas.errors import StudyError
from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.rows import read_body, read_record, read_table
from eenas.records.tables import CLAIMS, LEARNING_CURVES, PROGRESS, RERUNS, STORES, STUDIES, TOKENS, TRIALS

MARK = "eenas:token"
"""The system attribute of Optuna's study with the token of its record."""
_OPTUNA_STUDIES = table("studies", column("study_id"), column("study_name"))
_OPTUNA_ATTRIBUTES = table("study_system_attributes", column("study_id"), column("key"), column("value_json"))


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """A study without its trials. All tables hold plain values (JSON)."""

    name: str
    identity: dict[str, Any]
    identity_digest: str
    settings: dict[str, Any]
    """The whole study file, with overrides."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The facts about task, device and backbone, found when the study began."""
    baselines: dict[str, Any] = field(default_factory=dict)
    """The operating points of each baseline by name, empty before they are measured."""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    """The time of the first save in UTC (ISO 8601, so that it sorts as text)."""


class StudyRecords:
    """The studies of a database. Raises StorageError.

    A record is current as long as Optuna's study exists. If that was deleted, in the dashboard or by
    `optuna.delete_study`, the record is not found either, even if the name was used again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: StudyRecord) -> None:
        """Insert a study, or update the settings and facts of an existing one.

        `created` keeps its first value, and so do the baselines if `record` has none. Raises StudyError, without a
        change, if a study with another identity has the name.
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
        """Return the study of this name, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(select(STUDIES).where(STUDIES.c.name == name)).first()
            exists = row is not None and self._existence(connection)(name)
        return _record(row) if row is not None and exists else None

    def list(self) -> list[StudyRecord]:
        """Return all studies, oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(STUDIES).order_by(STUDIES.c.created, STUDIES.c.name)).all()
            exists = self._existence(connection)
        return [_record(row) for row in rows if exists(row.name)]

    def delete_orphaned(self, name: str) -> bool:
        """Delete the rows of `name` if Optuna's study no longer exists, and return whether there were any."""
        if self.get(name) is not None:
            return False
        with self._database.transaction() as connection:
            for own in (TRIALS, LEARNING_CURVES, TOKENS, PROGRESS, CLAIMS, RERUNS, STORES):
                connection.execute(delete(own).where(own.c.study == name))
        return self._database.change(delete(STUDIES).where(STUDIES.c.name == name))

    def token(self, name: str) -> str:
        """Return the token of a study.

        Empty if there is none, as for a study of an earlier eenas, found by name only.
        """
        with self._database.transaction() as connection:
            found = connection.execute(select(TOKENS.c.token).where(TOKENS.c.study == name)).scalar()
        return str(found or "")

    def save_token(self, name: str, token: str) -> None:
        """Tie the record to Optuna's study that is marked with `token`, and to no other of the same name."""
        self._database.upsert(TOKENS, {"study": name, "token": token})

    def is_current(self, name: str, token: str) -> bool:
        """Whether Optuna's study of this name still has the mark `token`."""
        with self._database.transaction() as connection:
            marks = self._marks(connection)
        return marks is None or marks.get(name) == token

    def update_baselines(self, name: str, baselines: Mapping[str, Any]) -> None:
        """Replace the baselines of a study. Raises StudyError if the study does not exist."""
        statement = update(STUDIES).where(STUDIES.c.name == name).values(baselines=json.dumps(baselines))
        if not self._database.change(statement):
            raise StudyError(f"no study {name!r} in this storage; save the study before its baselines")

    def _existence(self, connection: Connection) -> Callable[[str], bool]:
        """Return a function that tells whether Optuna's study of a record's name still exists."""
        marks, tokens = self._marks(connection), {}
        if inspect(connection).has_table(TOKENS.name):
            tokens = {row.study: row.token for row in connection.execute(select(TOKENS))}

        def exists(name: str) -> bool:
            return marks is None or (name in marks and tokens.get(name, "") in ("", marks[name]))

        return exists

    def _marks(self, connection: Connection) -> dict[str, str] | None:
        """Return the marks of Optuna's studies by name, empty without one. None if Optuna has no tables yet."""
        if not inspect(connection).has_table(_OPTUNA_STUDIES.name):
            return None
        of_study = (_OPTUNA_STUDIES.c.study_id == _OPTUNA_ATTRIBUTES.c.study_id) & (_OPTUNA_ATTRIBUTES.c.key == MARK)
        joined = _OPTUNA_STUDIES.outerjoin(_OPTUNA_ATTRIBUTES, of_study)
        rows = connection.execute(
            select(_OPTUNA_STUDIES.c.study_name, _OPTUNA_ATTRIBUTES.c.value_json).select_from(joined)
        )
        return {
            name: "" if value is None else str(read_body(value, f"mark of the study {shortened(name)}"))
            for name, value in rows
        }


def _record(row: Row[Any]) -> StudyRecord:
    where = f"row of the study {shortened(row.name)}"
    body = read_table(row.body, where)
    own = {"name": row.name, "identity_digest": row.identity_digest, "created": row.created}
    return read_record(StudyRecord, {**body, **own, "baselines": read_body(row.baselines, where)}, where)

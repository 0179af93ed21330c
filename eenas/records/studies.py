"""Studies as they were asked for: identity, settings, facts and baselines."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, column, delete, inspect, select, table, update

from eenas.errors import StudyError
from eenas.escaping import shortened
from eenas.records.database import Database
from eenas.records.rows import damaged, read_body, read_record
from eenas.records.tables import LEARNING_CURVES, STUDIES, TOKENS, TRIALS

MARK = "eenas:token"
"""The system attribute of Optuna's study that holds its record's token."""
_OPTUNA_STUDIES = table("studies", column("study_id"), column("study_name"))
_OPTUNA_ATTRIBUTES = table("study_system_attributes", column("study_id"), column("key"), column("value_json"))


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
    """The studies of a database. Raises StorageError.

    A study lives as long as Optuna's: one that was deleted there, in the dashboard or by `optuna.delete_study`, is not
    found here either, also when the name was used again.
    """

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
            lives = row is not None and self._living(connection)(name)
        return _record(row) if row is not None and lives else None

    def list(self) -> list[StudyRecord]:
        """All studies, the oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(STUDIES).order_by(STUDIES.c.created, STUDIES.c.name)).all()
            lives = self._living(connection)
        return [_record(row) for row in rows if lives(row.name)]

    def forget_deleted(self, name: str) -> bool:
        """Let the rows of `name` go where Optuna's study is gone; whether there were any."""
        if self.get(name) is not None:
            return False
        with self._database.transaction() as connection:
            for own in (TRIALS, LEARNING_CURVES, TOKENS):
                connection.execute(delete(own).where(own.c.study == name))
        return self._database.change(delete(STUDIES).where(STUDIES.c.name == name))

    def token(self, name: str) -> str:
        """The token of a study; empty for none, and for a study of an earlier eenas, which is known by its name."""
        with self._database.transaction() as connection:
            found = connection.execute(select(TOKENS.c.token).where(TOKENS.c.study == name)).scalar()
        return str(found or "")

    def keep_token(self, name: str, token: str) -> None:
        """Tie the study to Optuna's study that is marked with `token`, so that no other of its name is taken for it."""
        self._database.upsert(TOKENS, {"study": name, "token": token})

    def is_current(self, name: str, token: str) -> bool:
        """Whether Optuna's study of this name is still the one that was marked with `token`."""
        with self._database.transaction() as connection:
            marks = self._marks(connection)
        return marks is None or marks.get(name) == token

    def update_baselines(self, name: str, baselines: Mapping[str, Any]) -> None:
        """Replace the baselines of a study. Raises StudyError when there is no such study."""
        statement = update(STUDIES).where(STUDIES.c.name == name).values(baselines=json.dumps(baselines))
        if not self._database.change(statement):
            raise StudyError(f"no study {name!r} in this storage; save it before its baselines")

    def _living(self, connection: Connection) -> Callable[[str], bool]:
        """What tells by the name of a study of ours whether Optuna's study is still there."""
        marks, tokens = self._marks(connection), {}
        if inspect(connection).has_table(TOKENS.name):
            tokens = {row.study: row.token for row in connection.execute(select(TOKENS))}

        def lives(name: str) -> bool:
            return marks is None or (name in marks and tokens.get(name, "") in ("", marks[name]))

        return lives

    def _marks(self, connection: Connection) -> dict[str, str] | None:
        """The marks of Optuna's studies by name, empty for one without; None where Optuna has no tables yet."""
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
    body = read_body(row.body, where)
    if not isinstance(body, dict):
        raise damaged(where, f"must be a table, got {shortened(body)}")
    own = {"name": row.name, "identity_digest": row.identity_digest, "created": row.created}
    return read_record(StudyRecord, {**body, **own, "baselines": read_body(row.baselines, where)}, where)

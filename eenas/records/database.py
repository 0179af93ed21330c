"""One database for a study: Optuna's tables and eenas's own, in SQLite or PostgreSQL."""

import os
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Delete, Engine, Table, Update, create_engine, event, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable

from eenas.errors import StorageError
from eenas.masking import masked, masked_url, secrets_of
from eenas.records.read_only import is_read_only, reading_url
from eenas.records.tables import METADATA, SCHEMA, SCHEMA_ROW
from eenas.records.urls import read_url, sqlite_file

BUSY_SECONDS = 60
"""How long a writer of SQLite waits for the one before it."""
_LOCK = 0x65656E6173
"""The advisory lock that lets one worker at a time make the tables in PostgreSQL ("eenas" in hexadecimal)."""
_OF_OPTUNA = "version_info"


class Database:
    """A study's database, opened, checked and made ready; safe for many processes and threads at once.

    Raises StorageError in one line, the URL named without its password, when `url` is not one of SQLite or PostgreSQL,
    cannot be reached or written, belongs to another program, or was made by a newer eenas. With `create=False` nothing
    is written on opening, and a database without eenas's tables is an error too.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._connect(url, create)
        with self._plain_errors():
            self._refuse_foreign(create)
            if self._file is not None:
                self._use_write_ahead_log(create)
            if create:
                self._make_tables()
        self._place = self._identity()

    @classmethod
    def check(cls, url: str) -> None:
        """Raise the StorageError that opening `url` would, as far as it is known without writing anything."""
        database = cls.__new__(cls)
        database._connect(url, create=True)
        file = database._file
        if file is None or os.path.exists(file):
            with database._plain_errors():
                database._refuse_foreign(create=True)
        elif not os.access(file.absolute().parent, os.W_OK | os.X_OK):
            fix = "make it writable, or give another --storage"
            raise StorageError(f"{database.label}: the folder {file.absolute().parent} is not writable; {fix}")
        database.close()

    def _connect(self, url: str, create: bool) -> None:
        self._url = read_url(url)
        self._file = sqlite_file(self._url)
        self.label, self._secrets = masked_url(url), secrets_of(url)
        self._path = None if self._file is None else self._file.absolute()
        self._check_file(create)
        if not create and self._file is not None and is_read_only(self._file):
            copies = tempfile.TemporaryDirectory(prefix="eenas-")
            weakref.finalize(self, copies.cleanup)
            try:
                self._url = reading_url(self._file, Path(copies.name))
            except (OSError, sqlite3.Error) as error:
                raise self.trouble(error) from error
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._is_wal = False
        try:
            with self._plain_errors():
                self.engine: Engine = create_engine(self._url, **self.engine_options())
        except ImportError as error:  # the driver of the URL
            package = "'eenas[postgresql]'" if str(error.name).startswith("psycopg") else error.name
            raise StorageError(f"{self.label}: needs the package {error.name}; pip install {package}") from None
        self._finalizer = weakref.finalize(self, self.engine.dispose)

    @property
    def url(self) -> str:
        """The whole URL, password included, as Optuna wants it; never for a message."""
        return self._url.render_as_string(hide_password=False)

    def engine_options(self) -> dict[str, Any]:
        """The options of `create_engine` with which Optuna should open the same database."""
        if not self._is_sqlite:
            return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 15}}
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
        if self._file is None:
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
        if self._is_wal:
            options["pool_events"] = [(_sync_less, "connect")]
        return options

    @property
    def is_shared(self) -> bool:
        """Whether other processes can open the same database."""
        return not self._is_sqlite or self._file is not None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose statements are kept together at the end, or not at all; failures are StorageErrors."""
        self._check_place()
        with self._plain_errors(), self.engine.begin() as connection:
            yield connection

    def upsert(
        self, table: Table, row: Mapping[str, Any], *, keep: Sequence[str] = (), only_same: str | None = None
    ) -> bool:
        """Insert `row`, or replace the row of the same primary key, in one statement.

        Columns in `keep` stay what they were. With `only_same` a row that differs in this column is left alone.
        Returns whether a row was written, which the database tells (RETURNING): drivers count differently.
        """
        statement = self._upsert_of(table, row, keep, only_same).returning(*table.primary_key)
        with self.transaction() as connection:
            return connection.execute(statement).first() is not None

    def insert(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert `row` where no row has its primary key; whether it was written. The first of several workers wins."""
        insert = sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)
        statement = insert.values(**row).on_conflict_do_nothing().returning(*table.primary_key)
        with self.transaction() as connection:
            return connection.execute(statement).first() is not None

    def change(self, statement: Update | Delete) -> bool:
        """Run `statement`; whether it found a row."""
        with self.transaction() as connection:
            return connection.execute(statement.returning(*statement.table.primary_key)).first() is not None

    def trouble(self, error: BaseException) -> StorageError:
        """What SQLAlchemy, a driver or Optuna raised about this database, as an error of one line with its fix."""
        cause: BaseException | None = error
        while cause is not None and getattr(cause, "orig", None) is None:
            cause = cause.__cause__
        said = str(getattr(cause, "orig", None) or error)
        first = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
        reason = masked(first, self._secrets)
        return StorageError(f"{self.label}: {reason}; {_fix(reason)}")

    def caused(self, error: BaseException) -> bool:
        """Whether SQLAlchemy or a driver raised `error`."""
        return isinstance(error, SQLAlchemyError | sqlite3.Error)

    def comes_back(self, seconds: float) -> bool:
        """Whether a server answers within so many seconds; a file that failed is not waited for."""
        if self._is_sqlite:
            return False
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.engine.dispose()
                with self.engine.connect() as connection:
                    connection.execute(select(1))
                return True
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.5)

    def close(self) -> None:
        """Close every connection; the database opens new ones when it is used again."""
        self.engine.dispose()

    def _check_file(self, create: bool) -> None:
        """What SQLite would say less clearly, or would make by itself."""
        file = self._file
        if file is None:
            return
        if os.path.isdir(file):
            raise StorageError(f"{self.label}: is a folder; name a file in it, such as {file}/eenas.db")
        if not create and not os.path.exists(file):
            raise StorageError(f"{self.label}: no such database; run `eenas search` first or give its --storage")
        if not os.path.isdir(file.absolute().parent):
            raise StorageError(f"{self.label}: the folder {file.parent} does not exist; make it or name another file")

    def _identity(self) -> tuple[int, int] | None:
        """Which file the path names now; None where there is no file."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError as error:
            raise StorageError(
                f"{self.label}: the database is gone while it is in use ({error.strerror}); "
                "put it back, or run the same command again, which begins anew"
            ) from None
        return found.st_dev, found.st_ino

    def _check_place(self) -> None:
        """Refuse to write into a file that was deleted or replaced: SQLite would, and all of it would be lost."""
        if self._identity() != self._place:
            raise StorageError(
                f"{self.label}: another file was put in the place of the database while it was in use; "
                "run the same command again, which continues with what is there now"
            )

    def _refuse_foreign(self, create: bool) -> None:
        with self.engine.connect() as connection:
            names = set(inspect(connection).get_table_names())
            version = 0
            if SCHEMA_ROW.name in names:
                version = connection.execute(select(SCHEMA_ROW.c.version)).scalar() or 0
        if not isinstance(version, int):
            raise StorageError(f"{self.label}: the number of its schema is damaged; restore it from a copy")
        if version > SCHEMA:
            raise StorageError(
                f"{self.label}: was made by a newer eenas (schema {version}, this one reads up to {SCHEMA}); "
                "upgrade eenas or give another --storage"
            )
        ours = any(name.startswith("eenas_") for name in names) or _OF_OPTUNA in names
        if names and not ours and self._is_sqlite:
            some = ", ".join(sorted(names)[:3])
            raise StorageError(f"{self.label}: belongs to another program (tables {some}); give another --storage")
        if not create and not version:
            raise StorageError(f"{self.label}: holds no study of eenas; run `eenas search` or give another --storage")

    def _use_write_ahead_log(self, create: bool) -> None:
        """Let readers and a writer work at once; where the file system cannot, SQLite goes on as it always does."""
        deadline = time.monotonic() + BUSY_SECONDS
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            while create and mode != "wal":
                try:
                    mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
                    break
                except DBAPIError as error:  # the switch does not wait for other processes by itself
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        self._is_wal = mode == "wal"
        if self._is_wal:
            self.engine.dispose()
            event.listen(self.engine, "connect", _sync_less)

    def _make_tables(self) -> None:
        """Make what is missing; the schema's row is written each time, which finds a storage that cannot be written."""
        with self.engine.begin() as connection:
            if self._is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            for table in METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
            connection.execute(self._upsert_of(SCHEMA_ROW, {"id": 1, "version": SCHEMA}))

    def _upsert_of(
        self, table: Table, row: Mapping[str, Any], keep: Sequence[str] = (), only_same: str | None = None
    ) -> sqlite.Insert | postgresql.Insert:
        insert = sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)
        keys = [column.name for column in table.primary_key]
        new = {name: insert.excluded[name] for name in row if name not in keys and name not in keep}
        same = None if only_same is None else table.c[only_same] == insert.excluded[only_same]
        return insert.values(**row).on_conflict_do_update(index_elements=keys, set_=new, where=same)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Whatever SQLAlchemy and the drivers raise becomes a StorageError of one line."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.trouble(error) from error


def _sync_less(connection: Any, record: object) -> None:
    """With a write-ahead log NORMAL is safe against corruption, and more than twice as fast as FULL."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _fix(reason: str) -> str:
    fixes = {
        "not a database": "give another --storage, or the path of a new file",
        "readonly": "make the file and its folder writable, or give another --storage",
        "unable to open": "make the file and its folder readable and writable, or give another --storage",
        "full": "free space on its disk and run the same command again",
        "locked": "another process writes to it; end that one or try again",
        "malformed": "restore it from a backup, or give another --storage",
        "no such table": "another database is in its place; restore it from a backup, or give another --storage",
        "terminat": "see that the server runs, and run the same command again",
        "connect": "see that the server runs, and run the same command again",
    }
    return next((fix for word, fix in fixes.items() if word in reason), "check the URL, the server and the account")

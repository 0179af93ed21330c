"""The database of a study: Optuna's tables and eenas's own, in SQLite or PostgreSQL."""

import os
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Table,
    Update,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable

from eenas.errors import StorageError
from eenas.masking import masked, masked_url, secrets_of
from eenas.records.kinds import fix_of, insert_into, now_in
from eenas.records.read_only import is_read_only, reading_url
from eenas.records.tables import METADATA, SCHEMA, SCHEMA_ROW
from eenas.records.urls import read_url, sqlite_file
from eenas.records.write_ahead_log import BUSY_SECONDS, set_synchronous_normal, use_write_ahead_log

POOL = {"pool_size": 3, "max_overflow": 3}
"""At most six connections of a process to a server: its trial, three heartbeats, and two to spare."""
_LOCK = 0x65656E6173
"""The advisory lock under which one worker at a time creates the tables in PostgreSQL ("eenas" in hexadecimal)."""
_OF_OPTUNA = "version_info"


class Database:
    """A study's database, checked and with all tables. Safe for concurrent processes and threads.

    `create=False` writes nothing on opening and requires eenas's tables. Raises StorageError, in one line and without
    the password, if `url` is not of SQLite or PostgreSQL, or the database cannot be reached or written, belongs to
    another program, or was created by a newer eenas.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._connect(url, create)
        with self._storage_errors():
            self._check_owner(create)
            if self._file is not None:
                self._is_wal = use_write_ahead_log(self.engine, create)
            if create:
                self._create_tables()
        self._place = self._identity()

    @classmethod
    def check(cls, url: str) -> None:
        """Raise the StorageError that opening `url` would raise, as far as it shows without writing."""
        database = cls.__new__(cls)
        database._connect(url, create=True)
        file = database._file
        if file is None or os.path.exists(file):
            with database._storage_errors():
                database._check_owner(create=True)
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
                raise self.to_storage_error(error) from error
        self.kind = self._url.get_backend_name()
        self._is_sqlite = self.kind == "sqlite"
        self._is_wal = False
        try:
            with self._storage_errors():
                self.engine: Engine = create_engine(self._url, **self.engine_options())
        except ImportError as error:  # the driver of the URL
            package = "'eenas[postgresql]'" if str(error.name).startswith("psycopg") else error.name
            raise StorageError(f"{self.label}: needs the package {error.name}; pip install {package}") from None
        self._finalizer = weakref.finalize(self, self.engine.dispose)

    @property
    def url(self) -> str:
        """The whole URL with the password, for Optuna. Never show it in a message."""
        return self._url.render_as_string(hide_password=False)

    def optuna_options(self) -> dict[str, Any]:
        """Return the options of `create_engine` with which Optuna opens the database, on a server in the same pool."""
        return self.engine_options() if self._is_sqlite else {"pool": self.engine.pool}

    def engine_options(self) -> dict[str, Any]:
        """Return the options of `create_engine`."""
        if not self._is_sqlite:
            return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 15}, **POOL}
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
        if self._file is None:
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
        if self._is_wal:
            options["pool_events"] = [(set_synchronous_normal, "connect")]
        return options

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database, None on a server or in memory."""
        return self._file

    @property
    def is_shared(self) -> bool:
        """Whether other processes can open the same database."""
        return not self._is_sqlite or self._file is not None

    @property
    def now(self) -> ColumnElement[float]:
        """The seconds since 1970 by the clock of the database, as an expression."""
        return now_in(self.kind)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a connection whose statements are committed together at the end, or not at all. Raises StorageError."""
        self._check_identity()
        with self._storage_errors(), self.engine.begin() as connection:
            yield connection

    def upsert(
        self, table: Table, row: Mapping[str, Any], *, keep: Sequence[str] = (), only_same: str | None = None
    ) -> bool:
        """Insert `row`, or update the row with the same primary key, in one statement.

        Columns in `keep` are not updated. With `only_same`, a row with a different value in this column is not updated.
        Returns whether a row was written, from RETURNING, because drivers count rows differently.
        """
        statement = self.upsertion(table, row, keep, only_same).returning(*table.primary_key)
        with self.transaction() as connection:
            return connection.execute(statement).first() is not None

    def insert(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert `row` unless its primary key exists, and return whether it was inserted. The first worker wins."""
        statement = self.insertion(table, row).returning(*table.primary_key)
        with self.transaction() as connection:
            return connection.execute(statement).first() is not None

    def insertion(self, table: Table, row: Mapping[str, Any]) -> sqlite.Insert | postgresql.Insert:
        """Return the statement of `insert`, for a transaction."""
        return insert_into(self.kind, table).values(**row).on_conflict_do_nothing()

    def change(self, statement: Update | Delete) -> bool:
        """Run `statement` and return whether it matched a row."""
        with self.transaction() as connection:
            return connection.execute(statement.returning(*statement.table.primary_key)).first() is not None

    def to_storage_error(self, error: BaseException) -> StorageError:
        """Convert an error of SQLAlchemy, a driver or Optuna about this database to a StorageError of one line."""
        cause: BaseException | None = error
        while cause is not None and getattr(cause, "orig", None) is None:
            cause = cause.__cause__
        said = str(getattr(cause, "orig", None) or error)
        first = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
        reason = masked(first, self._secrets)
        return StorageError(f"{self.label}: {reason}; {fix_of(reason)}")

    def caused(self, error: BaseException) -> bool:
        """Whether `error` comes from SQLAlchemy or a driver."""
        return isinstance(error, SQLAlchemyError | sqlite3.Error)

    def wait_for_server(self, seconds: float) -> bool:
        """Wait up to `seconds` for the server to answer, and return whether it does. False at once for SQLite."""
        if self._is_sqlite:
            return False
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.engine.connect() as connection:  # which drops connections of the time before the outage
                    connection.execute(select(1))
                return True
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.5)

    def close(self) -> None:
        """Close every connection. Later use opens new ones."""
        self.engine.dispose()

    def _check_file(self, create: bool) -> None:
        """Check the file first: SQLite's own messages are unclear, and it would create a missing file."""
        file = self._file
        if file is None:
            return
        if os.path.isdir(file):
            raise StorageError(f"{self.label}: the path is a folder; give a file in it, such as {file}/eenas.db")
        if not create and not os.path.exists(file):
            raise StorageError(f"{self.label}: no such database; run `eenas search` first or give its --storage")
        if not os.path.isdir(file.absolute().parent):
            raise StorageError(f"{self.label}: the folder {file.parent} does not exist; create it or give another file")

    def _identity(self) -> tuple[int, int] | None:
        """Return the device and inode of the database file, None without a file."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError as error:
            raise StorageError(
                f"{self.label}: the database disappeared while in use ({error.strerror}); "
                "restore it, or rerun the command, which starts a new study"
            ) from None
        return found.st_dev, found.st_ino

    def _check_identity(self) -> None:
        """Refuse a file that was deleted or replaced: SQLite would write into it, and the data would be lost."""
        if self._identity() != self._place:
            raise StorageError(
                f"{self.label}: the database file was replaced while in use; "
                "rerun the command, which continues with the current file"
            )

    def _check_owner(self, create: bool) -> None:
        with self.engine.connect() as connection:
            names = set(inspect(connection).get_table_names())
            version = 0
            if SCHEMA_ROW.name in names:
                version = connection.execute(select(SCHEMA_ROW.c.version)).scalar() or 0
        if not isinstance(version, int):
            raise StorageError(f"{self.label}: the schema version is damaged; restore the database from a copy")
        if version > SCHEMA:
            raise StorageError(
                f"{self.label}: created by a newer eenas (schema {version}, this one reads up to {SCHEMA}); "
                "upgrade eenas or give another --storage"
            )
        ours = any(name.startswith("eenas_") for name in names) or _OF_OPTUNA in names
        if names and not ours and self._is_sqlite:
            some = ", ".join(sorted(names)[:3])
            raise StorageError(f"{self.label}: belongs to another program (tables {some}); give another --storage")
        if not create and not version:
            raise StorageError(f"{self.label}: holds no study of eenas; run `eenas search` or give another --storage")

    def _create_tables(self) -> None:
        """Create missing tables.

        The schema row is written each time, which detects a storage that cannot be written.
        """
        with self.engine.begin() as connection:
            if self._is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            for table in METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
            connection.execute(self.upsertion(SCHEMA_ROW, {"id": 1, "version": SCHEMA}))

    def upsertion(
        self, table: Table, row: Mapping[str, Any], keep: Sequence[str] = (), only_same: str | None = None
    ) -> sqlite.Insert | postgresql.Insert:
        """Return the statement of `upsert`, for a transaction."""
        insert = insert_into(self.kind, table)
        keys = [column.name for column in table.primary_key]
        new = {name: insert.excluded[name] for name in row if name not in keys and name not in keep}
        same = None if only_same is None else table.c[only_same] == insert.excluded[only_same]
        return insert.values(**row).on_conflict_do_update(index_elements=keys, set_=new, where=same)

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        """Convert errors of SQLAlchemy and the drivers to StorageErrors of one line."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.to_storage_error(error) from error

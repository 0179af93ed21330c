"""What differs between the kinds of databases: the clock, the first insert, and the fixes of their errors."""

from sqlalchemy import ColumnElement, Double, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite

_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
_FIXES = {
    "not a database": "give another --storage, or the path of a new file",
    "readonly": "make the file and its folder writable, or give another --storage",
    "read-only": "make the server writable or give the account the right to write, and rerun the command",
    "unable to open": "make the file and its folder readable and writable, or give another --storage",
    "full": "free space on its disk and rerun the command",
    "locked": "another process is writing to it; end that process or try again",
    "malformed": "restore it from a backup, or give another --storage",
    "no such table": "another database took its place; restore it from a backup, or give another --storage",
    "too many": "raise max_connections of the server, or start fewer workers",
    "terminat": "check that the server runs, and rerun the command",
    "connect": "check that the server runs, and rerun the command",
}


def now_in(kind: str) -> ColumnElement[float]:
    """Return the time in seconds since 1970 by the clock of a database, as an expression for statements."""
    return literal_column(_NOW[kind], Double)


def insert_into(kind: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say what happens on a conflict."""
    return sqlite.insert(table) if kind == "sqlite" else postgresql.insert(table)


def fix_of(reason: str) -> str:
    """Return what to do about a driver's error."""
    return next((fix for word, fix in _FIXES.items() if word in reason), "check the URL, the server and the account")

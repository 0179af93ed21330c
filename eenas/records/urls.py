"""Database URLs: parsing and checks."""

import importlib.util
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from eenas.errors import StorageError, nearest
from eenas.escaping import shortened
from eenas.masking import masked_url

KINDS = ("sqlite", "postgresql")
EXAMPLES = "write sqlite:///eenas.db or postgresql://user:password@host/database"


def read_url(text: str) -> URL:
    """Parse a URL and choose an installed driver. Raises StorageError if it is not an SQLite or PostgreSQL URL."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StorageError(f"{shortened(masked_url(text))}: not a database URL; {EXAMPLES}") from None
    kind = url.get_backend_name()
    if kind == "postgres":
        url, kind = url.set(drivername="postgresql"), "postgresql"
    if kind not in KINDS:
        raise StorageError(f"{masked_url(text)}: unsupported database {kind!r} ({nearest(kind, KINDS)}); {EXAMPLES}")
    if "@" in (url.host or ""):
        raise StorageError(f"{masked_url(text)}: the user name or password contains an @; write it as %40")
    if url.drivername == "postgresql":
        url = url.set(drivername=f"postgresql+{_postgresql_driver()}")
    return url


def sqlite_file(url: URL) -> Path | None:
    """Return the file of an SQLite URL, None for a database in memory or of another kind."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or url.query.get("mode") == "memory":
        return None
    return Path(name.removeprefix("file:")) if "uri" in url.query else Path(name)


def _postgresql_driver() -> str:
    """Return the first installed driver, by default psycopg, which the message about a missing driver then names."""
    return next((name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)), "psycopg")

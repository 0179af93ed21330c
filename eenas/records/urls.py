"""A database URL as a user writes it: read and checked."""

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
    """The URL in `text`, with the driver that is installed. Raises StorageError for what eenas cannot store in."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StorageError(f"{shortened(masked_url(text))}: not a database URL; {EXAMPLES}") from None
    kind = url.get_backend_name()
    if kind == "postgres":
        url, kind = url.set(drivername="postgresql"), "postgresql"
    if kind not in KINDS:
        raise StorageError(f"{masked_url(text)}: eenas cannot store in {kind!r} ({nearest(kind, KINDS)}); {EXAMPLES}")
    if "@" in (url.host or ""):
        raise StorageError(f"{masked_url(text)}: what stands before the host holds an @; write it as %40")
    if url.drivername == "postgresql":
        url = url.set(drivername=f"postgresql+{_postgresql_driver()}")
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for a database in memory, and for every other kind."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or url.query.get("mode") == "memory":
        return None
    return Path(name.removeprefix("file:")) if "uri" in url.query else Path(name)


def _postgresql_driver() -> str:
    """The first driver that is installed, else the one that the message about its absence should name."""
    return next((name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)), "psycopg")

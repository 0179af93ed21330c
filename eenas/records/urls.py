"""Database URLs: parsing and checks."""

import importlib.util
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from eenas.errors import StorageError, nearest
from eenas.escaping import shortened
from eenas.masking import masked_url

KINDS = ("sqlite", "postgresql")
_REASONS = {
    "mysql": "MySQL and MariaDB lack UPDATE ... RETURNING, with which workers claim trials",
    "mariadb": "MySQL and MariaDB lack UPDATE ... RETURNING, with which workers claim trials",
    "grpc": "Optuna's proxy passes on neither heartbeats nor the records of eenas, which need SQL; give the URL of the "
    "database behind it",
    "journal": "a journal has no heartbeats and no transactions, by which the total of trials is exact",
    "redis": "Redis has no SQL, which the records of eenas need",
}
"""Why storages that Optuna knows cannot hold a study."""
_JOURNALS = (".log", ".journal", ".jsonl")
_NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse.ceph",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.rclone",
        "fuse.glusterfs",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
        "beegfs_nodev",
        "fuse.juicefs",
        "pvfs2",
    ]
)
EXAMPLES = "write sqlite:///eenas.db or postgresql://user:password@host/database"


def read_url(text: str) -> URL:
    """Parse a URL and choose an installed driver. Raises StorageError if it is not an SQLite or PostgreSQL URL."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        if text.endswith(_JOURNALS):
            raise StorageError(f"{shortened(text)}: {_REASONS['journal']}; {EXAMPLES}") from None
        raise StorageError(f"{shortened(masked_url(text))}: not a database URL; {EXAMPLES}") from None
    kind = url.get_backend_name()
    if kind == "postgres":
        url, kind = url.set(drivername="postgresql"), "postgresql"
    if kind in _REASONS:
        raise StorageError(f"{masked_url(text)}: {_REASONS[kind]}; {EXAMPLES}")
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


def network_file_system(file: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the kind of the network file system that holds `file`, such as "nfs4". None for a local one.

    SQLite's locks and shared memory do not work between machines there. Systems without /proc give None.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place, found = file.absolute(), (0, "")
    for line in lines:
        _, mounted, kind, *_ = (*line.split(" "), "", "", "")
        point = Path(mounted.replace("\\040", " "))
        if mounted and (point == place or point in place.parents):
            found = max(found, (len(point.parts), kind), key=lambda each: each[0])
    return found[1] if found[1] in _NETWORK else None


def _postgresql_driver() -> str:
    """Return the first installed driver, by default psycopg, which the message about a missing driver then names."""
    return next((name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)), "psycopg")

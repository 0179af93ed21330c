"""A study on a medium that cannot be written: how its database is read, and a copy for what must write."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from eenas.errors import StorageError
from eenas.files import is_writable
from eenas.masking import masked_url
from eenas.progress import notify
from eenas.records.urls import read_url, sqlite_file


def is_read_only(file: Path) -> bool:
    """Whether SQLite could not write to the database `file`: it writes beside it, too."""
    return file.exists() and not (is_writable(file) and is_writable(file.absolute().parent))


def reading_url(file: Path, copies: Path) -> URL:
    """The URL under which a database that cannot be written can be read, as it is now.

    One whose write-ahead log cannot be used in its place is copied into the folder `copies`, log included. Raises
    sqlite3.Error and OSError.
    """
    if _can_be_read(_url(file, mode="ro")):  # somebody writes to it, or it has no log
        return _url(file, mode="ro")
    log = file.with_name(file.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        return _url(file, mode="ro", immutable="1")
    for each in (file, log):
        shutil.copyfile(each, copies / each.name)
    return _url(copies / file.name)


@contextmanager
def writable_place(storage: str, artifacts: Path | None) -> Iterator[tuple[str, Path | None]]:
    """The storage and the folder of artifacts; of an SQLite file that cannot be written a copy, gone after the block.

    The copy's artifacts are links to the ones that are there. A notice says that what is kept is lost afterwards.
    Raises StorageError where it cannot be copied.
    """
    file = sqlite_file(read_url(storage))
    if file is None or not is_read_only(file):
        yield storage, artifacts
        return
    notify(f"{masked_url(storage)} cannot be written: what is measured or trained for it is kept for this command only")
    with tempfile.TemporaryDirectory(prefix="eenas-") as folder:
        copy, own = Path(folder) / "eenas.db", Path(folder) / "eenas.artifacts"
        try:
            _copy(file, copy)
            own.mkdir()
            kept = file.with_suffix(".artifacts") if artifacts is None else artifacts
            for item in kept.iterdir() if kept.is_dir() else ():
                if item.is_file() and not item.name.startswith("."):
                    (own / item.name).symlink_to(item.resolve())
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{masked_url(storage)}: cannot be copied to work in ({error}); free space in {folder}, restore it "
                "from a backup, or give another --storage"
            ) from error
        yield f"sqlite:///{copy}", own


def _copy(file: Path, copy: Path) -> None:
    """Write what a database that cannot be written holds now, its log included, to a new file."""
    with tempfile.TemporaryDirectory(prefix="eenas-") as between:
        url = reading_url(file, Path(between))
        with closing(_connected(url)) as there, closing(sqlite3.connect(copy)) as here:
            there.backup(here)


def _url(file: Path, **query: str) -> URL:
    return URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query={**query, "uri": "true"})


def _connected(url: URL) -> sqlite3.Connection:
    query = "&".join(f"{name}={value}" for name, value in url.query.items() if name != "uri")
    return sqlite3.connect(f"{url.database}?{query}", uri=True)


def _can_be_read(url: URL) -> bool:
    try:
        with closing(_connected(url)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        return False
    return True

"""Studies on read-only media: reading their database, and a temporary copy for commands that write."""

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
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.layered_store import LayeredStore
from eenas.records.stores.places import ArtifactPlace, folder_of, open_place
from eenas.records.urls import read_url, sqlite_file


def is_read_only(file: Path) -> bool:
    """Whether SQLite cannot write to the database `file` or to its folder."""
    return file.exists() and not (is_writable(file) and is_writable(file.absolute().parent))


def reading_url(file: Path, copies: Path) -> URL:
    """Return the URL that reads the current content of a read-only database.

    A database whose write-ahead log cannot be used in place is copied with its log into the folder `copies`. Raises
    sqlite3.Error and OSError.
    """
    if _can_be_read(_url(file, mode="ro")):  # another process writes to it, or it has no log
        return _url(file, mode="ro")
    log = file.with_name(file.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        return _url(file, mode="ro", immutable="1")
    for each in (file, log):
        shutil.copyfile(each, copies / each.name)
    return _url(copies / file.name)


@contextmanager
def writable_storage(
    storage: str, artifacts: ArtifactPlace | None, *, trust_code: bool = False
) -> Iterator[tuple[str, ArtifactPlace | None]]:
    """Yield the storage and the place of artifacts. A read-only SQLite file is replaced by a copy for the block.

    The copy links to the existing artifacts, or is laid over their remote store, and is deleted after the block, as a
    notice says. Raises StorageError if it cannot be made.
    """
    file = sqlite_file(read_url(storage))
    if file is None or not is_read_only(file):
        yield storage, artifacts
        return
    notify(f"{masked_url(storage)} is read-only: new measurements and weights are kept for this command only")
    with tempfile.TemporaryDirectory(prefix="eenas-") as folder:
        copy, own = Path(folder) / "eenas.db", Path(folder) / "eenas.artifacts"
        try:
            _copy(file, copy)
            own.mkdir()
            kept = folder_of(file.with_suffix(".artifacts") if artifacts is None else artifacts)
            for item in kept.iterdir() if kept is not None and kept.is_dir() else ():
                if item.is_file() and not item.name.startswith("."):
                    (own / item.name).symlink_to(item.resolve())
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{masked_url(storage)}: cannot be copied to work on ({error}); free space in {folder}, restore it "
                "from a backup, or give another --storage"
            ) from error
        place: ArtifactPlace = own
        if artifacts is not None and kept is None:
            place = LayeredStore(FolderStore(own), open_place(artifacts, trust_code=trust_code))
        yield f"sqlite:///{copy}", place


def _copy(file: Path, copy: Path) -> None:
    """Write the current content of a read-only database, with its log, to a new file."""
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

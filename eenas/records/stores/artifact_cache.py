"""Local copies of the artifacts of a remote store, in a folder of limited size."""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from eenas.errors import SpecError, StorageError
from eenas.files import is_temporary, is_writable, write_atomically

FOLDER, SIZE = "EENAS_ARTIFACT_CACHE", "EENAS_ARTIFACT_CACHE_SIZE"
"""The environment variables with the folder and its size."""
DEFAULT_SIZE = "10GB"
GRACE = 60.0
"""Copies that were used in the last this many seconds stay: their reader may not have opened them yet."""


class ArtifactCache:
    """A folder of copies, named by digest, of at most `limit` bytes. Any number of processes may share it.

    The least recently used copies are deleted to make room. Copies of the last `grace` seconds stay, so the folder can
    be larger for a moment. A copy whose content does not have its digest is deleted.
    """

    def __init__(self, folder: Path, limit: int, *, grace: float = GRACE) -> None:
        self.folder, self.limit, self._grace = folder, limit, grace

    def check(self) -> None:
        """Create the folder. Raises StorageError if it cannot be created or written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.folder}: cannot create the cache of artifacts ({error.strerror or error}); set {FOLDER} to "
                "another folder"
            ) from None
        if not is_writable(self.folder):
            raise StorageError(f"{self.folder}: the cache of artifacts is not writable; set {FOLDER} to another folder")

    @classmethod
    def usual(cls) -> "ArtifactCache":
        """Return the cache that the environment names, by default `~/.cache/eenas/artifacts` of 10 GB.

        Raises StorageError for a size that is none.
        """
        from eenas.frozen.feature_cache import read_size  # loads torch

        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = os.environ.get(FOLDER) or f"{home}/eenas/artifacts"
        try:
            limit = read_size(os.environ.get(SIZE) or DEFAULT_SIZE)
        except SpecError as error:
            raise StorageError(f"{SIZE}: {error}") from None
        return cls(Path(folder).expanduser(), limit)

    def find(self, name: str, digest: str, *, verify: bool = True) -> Path | None:
        """Return the copy of an artifact, or None. With `verify`, its content is read and compared with `digest`."""
        path = self._path(name, digest)
        try:
            os.utime(path)
            if not verify or sha256_of(path) == digest:
                return path
        except OSError:
            return None
        path.unlink(missing_ok=True)
        return None

    def receive(self, name: str, digest: str, get: Callable[[Path], object]) -> Path:
        """Let `get` fill a file, check its content and keep it.

        Raises StorageError if the disk is full, LookupError if `get` finds no object, ValueError if the content has
        another digest, and the errors of `get`.
        """

        def fill(path: Path) -> None:
            try:
                get(path)
            except FileNotFoundError as error:
                raise LookupError(name) from error
            if sha256_of(path) != digest:
                raise ValueError(digest)

        write_atomically(self._path(name, digest), fill)
        self._make_room()
        return self._path(name, digest)

    def send(self, name: str, write: Callable[[Path], object], put: Callable[[Path], object]) -> str:
        """Let `write` fill a file and `put` send it, keep it, and return its digest.

        Nothing is kept if one of them fails. Raises StorageError if the disk is full, and the errors of both.
        """
        digest, new = "", self.folder / f"new-{uuid4().hex[:8]}-{name[-100:]}"

        def fill(path: Path) -> None:
            nonlocal digest
            write(path)
            digest = sha256_of(path)
            put(path)

        write_atomically(new, fill)
        new.replace(self._path(name, digest))
        self._make_room()
        return digest

    def forget(self, name: str, digest: str) -> None:
        """Delete the copy of an artifact if there is one."""
        self._path(name, digest).unlink(missing_ok=True)

    def working_folder(self, place: str) -> Path:
        """Return the folder for unfinished work of this machine on the store at `place`. The limit leaves it alone."""
        folder = self.folder / f"work-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
        self.check()
        folder.mkdir(exist_ok=True)
        return folder

    def _path(self, name: str, digest: str) -> Path:
        return self.folder / f"{digest}-{name[-100:]}"

    def _make_room(self) -> None:
        """Delete the least recently used copies beyond the limit. Another process may do the same at once."""
        found, now = [], time.time()
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_file() and not is_temporary(entry.name):
                        facts = entry.stat()
                        found.append((facts.st_mtime, facts.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            if total <= self.limit or now - used < self._grace:
                return
            with suppress(OSError):
                os.unlink(path)
            total -= size


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

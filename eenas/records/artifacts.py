"""The artifact store: large results of trials (weights, exit tables) as whole files in a folder or a remote store."""

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from eenas.errors import StorageError
from eenas.escaping import shortened
from eenas.files import write_atomically
from eenas.masking import masked_url
from eenas.records.database import Database
from eenas.records.stores.artifact_cache import ArtifactCache, sha256_of
from eenas.records.stores.object_store import ObjectStore
from eenas.records.stores.places import ArtifactPlace, check_place, folder_of, open_place, place_text
from eenas.records.stores.retried_store import RetriedStore
from eenas.records.urls import read_url, sqlite_file

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_REFERENCE = re.compile(rf"({_NAME.pattern})@sha256:([0-9a-f]{{64}})")

_FIX_MISSING = "give the --artifacts that the study was started with, or restore it if it was deleted"
"""The fix names no place: the store may have another path on each machine. See `StudyArtifacts`."""


class ArtifactStore:
    """The artifacts of studies: a folder, or the objects of a remote store with local copies.

    A reference is `NAME@sha256:DIGEST`, which shows whether the content is still the one that was written. Requests to
    a remote store are repeated after faults that pass, and what was read or written is kept in an `ArtifactCache`
    (default: `ArtifactCache.usual()`). `create=False` opens the store for reading: no folder is created, and a remote
    store is not asked whether it is there. `trust_code` allows a store of the user's own.

    Raises StorageError if the place is malformed or the store cannot be used, PluginError for code that is not trusted.
    """

    def __init__(
        self, place: ArtifactPlace, *, create: bool = True, trust_code: bool = False, cache: ArtifactCache | None = None
    ) -> None:
        store = open_place(place, create=create, trust_code=trust_code)
        self._folder, self._given_cache = store.folder, cache
        self._store = store if store.folder is not None else RetriedStore(store)
        if create and self._folder is None:
            self._store.check()
            self._cache.check()

    @classmethod
    def beside(
        cls, storage: str, artifacts: ArtifactPlace | None = None, *, create: bool = True, trust_code: bool = False
    ) -> "ArtifactStore":
        """Return the store at `artifacts`, by default beside an SQLite file: `x.artifacts/` for `sqlite:///x.db`.

        Raises StorageError for a storage without a file if no place is given: workers must share one.
        """
        return cls(_place(storage, artifacts), create=create, trust_code=trust_code)

    @property
    def label(self) -> str:
        """The store in messages: a path, or a URL without credentials."""
        return self._store.label

    @cached_property
    def root(self) -> Path:
        """The folder of this machine for unfinished work, such as checkpoints. It is the store itself if that is one.

        For a remote store it is in the cache, so an interrupted training is resumed only where this folder is.
        """
        return self._cache.working_folder(self._store.label_with_server) if self._folder is None else self._folder

    @property
    def objects(self) -> ObjectStore:
        """The store of files under keys, with retries."""
        return self._store

    def write(self, name: str, data: bytes | Callable[[Path], object]) -> str:
        """Store `data` under `name` and return the reference.

        A callable `data` writes the file at the path it receives. An artifact of the same name is replaced atomically.
        Raises StorageError if the disk or the store is full or writing fails; the old artifact is then unchanged.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{shortened(name)}: not an artifact name; use letters, digits, '.', '_' and '-'")
        digest = ""

        def fill(path: Path) -> None:
            nonlocal digest
            if isinstance(data, bytes):
                path.write_bytes(data)
            else:
                data(path)
            digest = sha256_of(path)

        if self._folder is None:
            digest = self._cache.send(name, fill, lambda path: self._store.put(name, path))
        else:
            self.check()
            write_atomically(self._folder / name, fill)
        return f"{name}@sha256:{digest}"

    def path(self, reference: str) -> Path:
        """Return the file of a reference, or its local copy, verified.

        Raises StorageError if it is missing, was changed or cannot be read.
        """
        name, digest = self._split(reference)
        if self._folder is None:
            return self._cache.find(name, digest) or self._received(name, digest)
        path = self._folder / name
        try:
            found = sha256_of(path)
        except OSError as error:
            reason, gone = error.strerror or error, isinstance(error, FileNotFoundError | NotADirectoryError)
            raise (MissingArtifactError if gone else StorageError)(
                f"{path}: the artifact cannot be read ({reason}); {_FIX_MISSING}"
            ) from None
        if found != digest:
            raise _changed(str(path))
        return path

    def unverified_path(self, reference: str) -> Path:
        """Return the file of a reference that this process has verified before. Raises StorageError."""
        name, digest = self._split(reference)
        if self._folder is None:
            return self._cache.find(name, digest, verify=False) or self._received(name, digest)
        return self._folder / name

    def read(self, reference: str) -> bytes:
        """Return the bytes of a reference. Raises StorageError if the file is missing or was changed."""
        return self.path(reference).read_bytes()

    def holds(self, reference: str) -> bool:
        """Whether the artifact exists and is unchanged.

        Raises StorageError if the whole folder is missing or a remote store does not answer.
        """
        self.check()
        if self._folder is None and not self._store.exists(self._split(reference)[0]):
            return False
        try:
            self.path(reference)
        except ArtifactError:
            return False
        except StorageError:
            if self._folder is None:
                raise
            return False
        return True

    def exists(self, reference: str) -> bool:
        """Whether the file of a reference, or a local copy, exists. Its content is not verified again."""
        self.check()
        name, digest = self._split(reference)
        if self._folder is None and self._cache.find(name, digest, verify=False) is not None:
            return True
        return self._store.exists(name)

    def remove(self, reference: str) -> None:
        """Delete the artifact if it exists."""
        name, digest = self._split(reference)
        self._store.remove(name)
        if self._folder is None:
            self._cache.forget(name, digest)

    def check(self) -> None:
        """Raise StorageError if the folder is missing. A remote store reports that at the next request."""
        if self._folder is not None:
            self._store.check()

    @cached_property
    def _cache(self) -> ArtifactCache:
        return self._given_cache or ArtifactCache.usual()

    def _received(self, name: str, digest: str) -> Path:
        """Fetch an artifact into the cache. One with another digest is fetched once more before it counts as changed.

        A transfer can lose bytes without an error.
        """
        where = f"{self.label}/{name}"
        for _ in range(2):
            try:
                return self._cache.receive(name, digest, lambda path: self._store.get(name, path))
            except LookupError:
                raise MissingArtifactError(f"{where}: the artifact is missing; {_FIX_MISSING}") from None
            except ValueError:
                continue
        raise _changed(where)

    def _split(self, reference: str) -> tuple[str, str]:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise StorageError(f"{shortened(reference)}: not an artifact reference; give NAME@sha256:DIGEST")
        return match[1], match[2]


class ArtifactError(StorageError):
    """An artifact is missing or has another content, although its store answers."""


class MissingArtifactError(ArtifactError):
    """There is no artifact of this name."""


def reference_to(name: str, file: Path) -> str:
    """Return the reference of an artifact `name` with the content of `file`."""
    return f"{name}@sha256:{sha256_of(file)}"


def check_places(storage: str, artifacts: ArtifactPlace | None = None) -> None:
    """Raise the StorageError of a malformed storage or place of artifacts, without opening them.

    A storage without a file needs a place.
    """
    read_url(storage)
    check_place(_place(storage, artifacts))


def check_storage(storage: str, artifacts: ArtifactPlace | None = None) -> None:
    """Raise the StorageError that opening `storage` and its artifacts would raise, without writing or connecting."""
    Database.check(storage)
    check_place(_place(storage, artifacts))


def folder_beside(storage: str, artifacts: ArtifactPlace | None = None) -> Path | None:
    """Return the folder that `ArtifactStore.beside` opens, or None for a store elsewhere."""
    return folder_of(_place(storage, artifacts))


def existing_store(storage: str, artifacts: ArtifactPlace | None, *, trust_code: bool = False) -> ArtifactStore:
    """Return the store of a study for reading. Raises StorageError if a folder is given that does not exist."""
    if artifacts is not None and (folder := folder_of(artifacts)) is not None and not folder.is_dir():
        raise StorageError(f"{place_text(artifacts)}: no such folder; give the --artifacts of the search")
    return ArtifactStore.beside(storage, artifacts, create=False, trust_code=trust_code)


def _changed(where: str) -> StorageError:
    return ArtifactError(f"{where}: the artifact was changed or replaced (its SHA-256 differs); restore it")


def _place(storage: str, artifacts: ArtifactPlace | None) -> ArtifactPlace:
    if artifacts is not None:
        return artifacts
    file = sqlite_file(read_url(storage))
    if file is None:
        raise StorageError(
            f"{masked_url(storage)}: this storage has no artifact folder; give one that all workers share (--artifacts)"
        )
    return file.with_suffix(".artifacts")

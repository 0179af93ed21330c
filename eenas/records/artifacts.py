"""Large things that trials make (weights, exit tables) as files in one folder, whole or not there at all."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from eenas.errors import StorageError
from eenas.escaping import shortened
from eenas.files import is_writable, write_atomically
from eenas.masking import masked_url
from eenas.records.database import Database
from eenas.records.urls import read_url, sqlite_file

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_REFERENCE = re.compile(rf"({_NAME.pattern})@sha256:([0-9a-f]{{64}})")


class ArtifactStore:
    """A folder of artifacts. A reference is `NAME@sha256:DIGEST`, so that whoever keeps it can tell whether the file
    is still the one that was written. Raises StorageError when the folder cannot be made or written; with
    `create=False` the store is for reading, and the folder is left alone.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = Path(root)
        if not create:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{self.root}: no folder for artifacts ({reason}); give another --artifacts") from None
        if not is_writable(self.root):
            raise StorageError(f"{self.root}: not writable; make it writable or give another --artifacts folder")

    @classmethod
    def beside(cls, storage: str, artifacts: Path | None = None, *, create: bool = True) -> "ArtifactStore":
        """The store in `artifacts`, or by default beside an SQLite file: `x.artifacts/` for `sqlite:///x.db`.

        Raises StorageError for a storage without a file when no folder is given: workers must share one.
        """
        return cls(_folder(storage, artifacts), create=create)

    def write(self, name: str, data: bytes | Callable[[Path], object]) -> str:
        """Keep `data`, or what it writes to the path it is given, under `name`; returns the reference.

        An artifact of the same name is replaced in one step; when the disk is full or writing fails, StorageError is
        raised and the old one is still there.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{shortened(name)}: not a name for an artifact; use letters, digits, '.', '_' and '-'")
        self.check()
        digest = ""

        def fill(path: Path) -> None:
            nonlocal digest
            if isinstance(data, bytes):
                path.write_bytes(data)
            else:
                data(path)
            digest = _sha256(path)

        write_atomically(self.root / name, fill)
        return f"{name}@sha256:{digest}"

    def path(self, reference: str) -> Path:
        """The file of a reference, checked. Raises StorageError when it is missing or not what was written."""
        path, digest = self._split(reference)
        try:
            found = _sha256(path)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{path}: the artifact cannot be read ({reason}); is --artifacts right?") from None
        if found != digest:
            raise StorageError(f"{path}: the artifact was changed or replaced (its SHA-256 differs); make it again")
        return path

    def read(self, reference: str) -> bytes:
        """The bytes of a reference. Raises StorageError when it is missing or not what was written."""
        return self.path(reference).read_bytes()

    def holds(self, reference: str) -> bool:
        """Whether the artifact is there, as it was written. Raises StorageError when the whole folder is gone."""
        self.check()
        try:
            self.path(reference)
        except StorageError:
            return False
        return True

    def is_there(self, reference: str) -> bool:
        """Whether there is a file for a reference; what is in it was checked before, and is not read again."""
        self.check()
        return self._split(reference)[0].exists()

    def remove(self, reference: str) -> None:
        """Delete the artifact, where it is still there."""
        self._split(reference)[0].unlink(missing_ok=True)

    def check(self) -> None:
        """Raise StorageError when the folder is gone: it may be a disk that is away, with all that others made."""
        if not self.root.is_dir():
            raise StorageError(
                f"{self.root}: the folder of artifacts is gone; put it back, or run the same command again, "
                "which makes a new one and trains again what is missing"
            )

    def _split(self, reference: str) -> tuple[Path, str]:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise StorageError(f"{shortened(reference)}: not a reference to an artifact; give NAME@sha256:DIGEST")
        return self.root / match[1], match[2]


def reference_to(name: str, file: Path) -> str:
    """The reference of the artifact `name` that holds what `file` does."""
    return f"{name}@sha256:{_sha256(file)}"


def check_storage(storage: str, artifacts: Path | None = None) -> None:
    """Raise the StorageError that opening `storage` and its artifacts would, as far as it is known without writing."""
    Database.check(storage)
    _folder(storage, artifacts)


def _folder(storage: str, artifacts: Path | None) -> Path:
    if artifacts is not None:
        return artifacts
    file = sqlite_file(read_url(storage))
    if file is None:
        raise StorageError(
            f"{masked_url(storage)}: has no folder beside it; give one that all workers share (--artifacts)"
        )
    return file.with_suffix(".artifacts")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

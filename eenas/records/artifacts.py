"""The artifact store: large results of trials (weights, exit tables) as files in one folder, written atomically."""

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
    """A folder of artifacts.

    A reference is `NAME@sha256:DIGEST`, which shows whether the file is still the one that was written. `create=False`
    opens the store for reading and does not create the folder. Raises StorageError if the folder cannot be created or
    written.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = Path(root)
        if not create:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{self.root}: cannot create the folder ({reason}); give another --artifacts") from None
        if not is_writable(self.root):
            raise StorageError(f"{self.root}: the folder is not writable; make it writable or give another --artifacts")

    @classmethod
    def beside(cls, storage: str, artifacts: Path | None = None, *, create: bool = True) -> "ArtifactStore":
        """Return the store in `artifacts`, by default beside an SQLite file: `x.artifacts/` for `sqlite:///x.db`.

        Raises StorageError for a storage without a file if no folder is given: workers must share one.
        """
        return cls(_folder(storage, artifacts), create=create)

    def write(self, name: str, data: bytes | Callable[[Path], object]) -> str:
        """Store `data` under `name` and return the reference.

        A callable `data` writes the file at the path it receives. An artifact of the same name is replaced atomically.
        Raises StorageError if the disk is full or writing fails; the old artifact is then unchanged.
        """
        if not _NAME.fullmatch(name):
            raise StorageError(f"{shortened(name)}: not an artifact name; use letters, digits, '.', '_' and '-'")
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
        """Return the file of a reference, verified. Raises StorageError if it is missing or was changed."""
        path, digest = self._split(reference)
        try:
            found = _sha256(path)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{path}: the artifact cannot be read ({reason}); check --artifacts") from None
        if found != digest:
            raise StorageError(f"{path}: the artifact was changed or replaced (its SHA-256 differs); restore it")
        return path

    def read(self, reference: str) -> bytes:
        """Return the bytes of a reference. Raises StorageError if the file is missing or was changed."""
        return self.path(reference).read_bytes()

    def holds(self, reference: str) -> bool:
        """Whether the artifact exists and is unchanged. Raises StorageError if the whole folder is missing."""
        self.check()
        try:
            self.path(reference)
        except StorageError:
            return False
        return True

    def exists(self, reference: str) -> bool:
        """Whether the file of a reference exists. Its content is not verified again."""
        self.check()
        return self._split(reference)[0].exists()

    def remove(self, reference: str) -> None:
        """Delete the artifact if it exists."""
        self._split(reference)[0].unlink(missing_ok=True)

    def check(self) -> None:
        """Raise StorageError if the folder is missing, for example because its disk is not mounted."""
        if not self.root.is_dir():
            raise StorageError(
                f"{self.root}: the artifact folder is missing; restore it, or rerun the command, "
                "which creates a new one and retrains the missing networks"
            )

    def _split(self, reference: str) -> tuple[Path, str]:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise StorageError(f"{shortened(reference)}: not an artifact reference; give NAME@sha256:DIGEST")
        return self.root / match[1], match[2]


def reference_to(name: str, file: Path) -> str:
    """Return the reference of an artifact `name` with the content of `file`."""
    return f"{name}@sha256:{_sha256(file)}"


def check_storage(storage: str, artifacts: Path | None = None) -> None:
    """Raise the StorageError that opening `storage` and its artifacts would raise, without writing."""
    Database.check(storage)
    _folder(storage, artifacts)


def _folder(storage: str, artifacts: Path | None) -> Path:
    if artifacts is not None:
        return artifacts
    file = sqlite_file(read_url(storage))
    if file is None:
        raise StorageError(
            f"{masked_url(storage)}: this storage has no artifact folder; give one that all workers share (--artifacts)"
        )
    return file.with_suffix(".artifacts")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

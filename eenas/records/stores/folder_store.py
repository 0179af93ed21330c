"""A folder of this machine or of a shared file system as a store of artifacts."""

import shutil
from pathlib import Path

from eenas.errors import StorageError
from eenas.files import is_writable, write_atomically
from eenas.records.stores.object_store import ObjectStore


class FolderStore(ObjectStore):
    """The files of a folder. Each is written beside its place and moved there.

    With `create`, the folder is made if it is missing. Raises StorageError if it cannot be created or written.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder: Path = Path(folder)
        if not create:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(
                f"{self.folder}: cannot create the folder ({reason}); give another --artifacts"
            ) from None
        if not is_writable(self.folder):
            raise StorageError(
                f"{self.folder}: the folder is not writable; make it writable or give another --artifacts"
            )

    @property
    def label(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def check(self) -> None:
        """Raise StorageError if the folder is missing, for example because its disk is not mounted."""
        if not self.folder.is_dir():
            raise StorageError(
                f"{self.folder}: the artifact folder is missing; restore it, or rerun the command, "
                "which creates a new one and retrains the missing networks"
            )

    def put(self, key: str, file: Path) -> None:
        """Copy `file` to its place atomically. Raises StorageError if the disk is full."""
        self.check()
        write_atomically(self.folder / key, lambda path: shutil.copyfile(file, path))

    def get(self, key: str, file: Path) -> None:
        """Copy the object to `file`."""
        shutil.copyfile(self.folder / key, file)

    def exists(self, key: str) -> bool:
        """Whether the file exists. Raises StorageError if the whole folder is missing."""
        self.check()
        return (self.folder / key).exists()

    def remove(self, key: str) -> None:
        """Delete the file if it exists."""
        (self.folder / key).unlink(missing_ok=True)

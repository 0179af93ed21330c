"""A folder of this machine or of a shared file system as a store of artifacts."""

import os
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
            raise self._not_made(error.strerror or error) from None
        if not is_writable(self.folder):
            raise self._not_writable()

    @property
    def label(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def check_place(self) -> None:
        """Raise the StorageError of a folder that cannot be made or written, without making it."""
        there = self.folder.absolute()
        while not os.path.exists(there):
            there = there.parent
        if not there.is_dir():
            raise self._not_made(f"{there} is no folder")
        if not is_writable(there):
            is_there = there == self.folder.absolute()
            raise self._not_writable() if is_there else self._not_made(f"{there} is not writable")

    def _not_made(self, reason: object) -> StorageError:
        return StorageError(f"{self.folder}: cannot create the folder ({reason}); give another --artifacts")

    def _not_writable(self) -> StorageError:
        return StorageError(f"{self.folder}: the folder is not writable; make it writable or give another --artifacts")

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

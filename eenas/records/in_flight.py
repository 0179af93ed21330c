"""Markers of running trials, which show whether a trial's worker died or only lost its database."""

import hashlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from eenas.errors import StorageError
from eenas.records.stores.object_store import ObjectStore


class InFlight:
    """Empty files among the artifacts, a folder or a remote store, one per running trial.

    A worker that ends normally deletes its marker, which works on a full disk and without a database. A marker that
    outlives its worker therefore shows that the worker died during the trial, possibly because of it.
    """

    def __init__(self, place: Path | ObjectStore) -> None:
        self._store = None if isinstance(place, Path) or place.folder is not None else place
        self._folder = place if isinstance(place, Path) else place.folder or Path()

    def begin(self, study: str, number: int) -> None:
        """Create the marker of a trial. Raises StorageError."""
        path = self._path(study, number)
        if self._store is not None:
            with TemporaryDirectory() as folder:
                (empty := Path(folder) / path.name).touch()
                self._store.put(path.name, empty)
            return
        try:
            path.touch()
        except OSError as error:
            raise StorageError(
                f"{path.parent}: the folder cannot be written ({error.strerror}); "
                "restore it or make it writable, and rerun the command"
            ) from error

    def end(self, study: str, number: int) -> None:
        """Delete the marker of a trial."""
        with suppress(OSError, StorageError):
            path = self._path(study, number)
            if self._store is None:
                path.unlink(missing_ok=True)
            else:
                self._store.remove(path.name)

    def has_marker(self, study: str, number: int) -> bool:
        """Whether the trial has a marker."""
        path = self._path(study, number)
        return path.exists() if self._store is None else self._store.exists(path.name)

    def _path(self, study: str, number: int) -> Path:
        name = hashlib.sha256(study.encode()).hexdigest()[:12]
        return self._folder / f".in-flight-{name}-{number}"

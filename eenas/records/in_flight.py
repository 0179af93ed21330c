"""Markers of running trials, which show whether a trial's worker died or only lost its database."""

import hashlib
from contextlib import suppress
from pathlib import Path

from eenas.errors import StorageError


class InFlight:
    """Empty files among the artifacts, one per running trial.

    A worker that ends normally deletes its marker, which works on a full disk and without a database. A marker that
    outlives its worker therefore shows that the worker died during the trial, possibly because of it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, study: str, number: int) -> None:
        """Create the marker of a trial. Raises StorageError."""
        path = self._path(study, number)
        try:
            path.touch()
        except OSError as error:
            raise StorageError(
                f"{path.parent}: the folder cannot be written ({error.strerror}); "
                "restore it or make it writable, and rerun the command"
            ) from error

    def end(self, study: str, number: int) -> None:
        """Delete the marker of a trial."""
        with suppress(OSError):
            self._path(study, number).unlink(missing_ok=True)

    def has_marker(self, study: str, number: int) -> bool:
        """Whether the trial has a marker."""
        return self._path(study, number).exists()

    def _path(self, study: str, number: int) -> Path:
        name = hashlib.sha256(study.encode()).hexdigest()[:12]
        return self._folder / f".in-flight-{name}-{number}"

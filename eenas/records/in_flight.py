"""Notes of the trials in flight, which tell a worker that died in one from a worker that ended without its database."""

import hashlib
from contextlib import suppress
from pathlib import Path

from eenas.errors import StorageError


class InFlight:
    """Empty files among the artifacts, one for each trial that runs.

    A worker that ends in order takes its note back, which works on a full disk and without a database. So a trial whose
    worker is gone and whose note is still there was ended by the death of its worker, which it may have caused.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, study: str, number: int) -> None:
        """Note that a trial runs. Raises StorageError."""
        path = self._path(study, number)
        try:
            path.touch()
        except OSError as error:
            raise StorageError(
                f"{path.parent}: nothing can be written there ({error.strerror}); "
                "put the folder back, or make it writable, and run the same command again"
            ) from error

    def end(self, study: str, number: int) -> None:
        """Take the note back."""
        with suppress(OSError):
            self._path(study, number).unlink(missing_ok=True)

    def is_noted(self, study: str, number: int) -> bool:
        """Whether there is a note."""
        return self._path(study, number).exists()

    def _path(self, study: str, number: int) -> Path:
        name = hashlib.sha256(study.encode()).hexdigest()[:12]
        return self._folder / f".in-flight-{name}-{number}"

"""The log files of the workers of one search on this machine."""

import re
from contextlib import suppress
from pathlib import Path

_OWN = re.compile(rb"(\d\d:\d\d:\d\d [^\n]*\n)*")
"""A log without any output of libraries: lines that were shown on the terminal, too."""


class WorkerLogs:
    """The logs in `folder`, one for each worker. Those of an earlier search there are continued."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._had_folder = folder.is_dir()
        self._new = [path for path in map(self.path, range(1, count + 1)) if not path.exists()]

    def path(self, number: int) -> Path:
        """Return the log of the worker `number`, from 1."""
        return self._folder / f"worker-{number}.log"

    def remove_shown(self) -> None:
        """Remove the logs of this search that say nothing but what the terminal showed, and the folder if it is new."""
        with suppress(OSError):  # a log that cannot be read or removed stays
            for path in self._new:
                if path.is_file() and _OWN.fullmatch(path.read_bytes()):
                    path.unlink()
        if not self._had_folder:
            with suppress(OSError):  # it holds other logs
                self._folder.rmdir()

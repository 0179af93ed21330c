"""The stages of preparing one backbone, each done once and resumed after an interruption."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eenas.networks.checkpoint import load_state, save_state
from eenas.study.context.study_context import StudyContext
from eenas.training.checkpoints import Checkpoint


class Stages:
    """Files among the artifacts under the key of the preparation, which exist until `remove` is called."""

    def __init__(self, context: StudyContext, key: str) -> None:
        self._root, self._prefix, self._limit = context.artifacts.root, f"prepare-{key}-", context.limit

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored result of `make` (tensors and plain values), or call `make` and store its result.

        Raises StorageError, and TimeOverError if the result was stored just now and the time is over.
        """
        found = self.find(name)
        if found is None:
            found = make()
            self.keep(name, found)
            self._limit.check()
        return found

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the state stored under `name`, or None."""
        return load_state(self._path(name), ())

    def keep(self, name: str, state: dict[str, Any]) -> None:
        """Store `state` under `name`."""
        save_state(state, self._path(name))

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the checkpoint for a training in this stage."""
        return Checkpoint(self._path(f"{name}.checkpoint"), paced=True, check=self._limit.check)

    def remove(self) -> None:
        """Delete all files, once the prepared backbone is stored."""
        for path in self._root.glob(f"{self._prefix}*.pt"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._root / f"{self._prefix}{name}.pt"

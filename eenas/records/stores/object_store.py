"""The contract of a store of artifacts: whole files under keys."""

from abc import ABC, abstractmethod
from pathlib import Path

from eenas.errors import StorageError


class TransientStoreError(StorageError):
    """A request failed for a reason that passes: a lost connection, a timeout, a busy server."""


class ObjectStore(ABC):
    """Files under keys, shared by all workers of a study.

    Order of calls: `check` when a study is opened, then any other method, from several threads and processes. Keys
    consist of letters, digits, '.', '_' and '-'. A reader never sees a part of an object: `put` makes it visible as a
    whole or not at all. A key that is put again has its old content or the new one, whole.

    Errors that pass (ConnectionError, TimeoutError, TransientStoreError) are retried by the caller. All others are
    StorageErrors of one line with the fix. They name the store by `label` and contain no credentials.
    """

    folder: Path | None = None
    """The local folder whose files are the objects, if there is one. They are then written and read in place."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The name of the store in messages, without credentials: a path or a URL."""

    @property
    def label_with_server(self) -> str:
        """The label, with the server where the same label means other objects on another one."""
        return self.label

    @abstractmethod
    def check(self) -> None:
        """Raise StorageError if the store cannot be used: missing, unreachable, or without access."""

    @abstractmethod
    def put(self, key: str, file: Path) -> None:
        """Store the content of `file` under `key` as a whole."""

    @abstractmethod
    def get(self, key: str, file: Path) -> None:
        """Write the content of `key` to `file`. Raises FileNotFoundError if there is no such object."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Delete the object under `key` if there is one."""

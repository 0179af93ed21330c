"""A store whose requests are repeated after faults that pass."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from eenas.errors import StorageError
from eenas.records.stores.object_store import ObjectStore, TransientStoreError

TRIES = 9
"""The number of times that a request is made. The waits between them sum to at most 40 seconds."""
FIRST_TRIES = 3
"""The same when a study is opened, where a wrong address is more likely than a fault that passes."""
WAIT, LONGEST = 0.2, 10.0
"""The seconds before the second try, which double with each further one, and their maximum."""

Answer = TypeVar("Answer")


class RetriedStore(ObjectStore):
    """Another store. Waits are drawn between half and all of their length, so that workers do not return together.

    The last fault becomes a StorageError.
    """

    def __init__(self, store: ObjectStore, *, tries: int = TRIES, wait: float | None = None) -> None:
        self._store, self._tries, self._wait = store, tries, WAIT if wait is None else wait
        self._random = random.SystemRandom()  # seeds of the search do not reach it, nor it them

    @property
    def label(self) -> str:
        """The label of the store."""
        return self._store.label

    @property
    def label_with_server(self) -> str:
        """That of the store."""
        return self._store.label_with_server

    def check(self) -> None:
        """Check the store, with few tries."""
        self._repeated(self._store.check, min(self._tries, FIRST_TRIES))

    def put(self, key: str, file: Path) -> None:
        """Store a file."""
        self._repeated(lambda: self._store.put(key, file), self._tries)

    def get(self, key: str, file: Path) -> None:
        """Write an object to `file`."""
        self._repeated(lambda: self._store.get(key, file), self._tries)

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        return self._repeated(lambda: self._store.exists(key), self._tries)

    def remove(self, key: str) -> None:
        """Delete the object if it exists."""
        self._repeated(lambda: self._store.remove(key), self._tries)

    def _repeated(self, request: Callable[[], Answer], tries: int) -> Answer:
        for number in range(tries):
            try:
                return request()
            except (TransientStoreError, ConnectionError, TimeoutError) as error:
                if number == tries - 1:
                    said = str(error) if isinstance(error, StorageError) else _described(self.label, error)
                    raise StorageError(f"{said} (tried {tries} times)") from error
            time.sleep(min(LONGEST, self._wait * 2**number) * self._random.uniform(0.5, 1.0))
        raise AssertionError("there is at least one try")


def _described(label: str, error: Exception) -> str:
    return f"{label}: the store does not answer ({' '.join(str(error).split()) or type(error).__name__}); check it"

"""A store that is read, under another that receives what is new."""

from pathlib import Path

from eenas.records.stores.object_store import ObjectStore


class LayeredStore(ObjectStore):
    """Objects are written to `upper` and read from `upper`, then from `lower`, which is never changed."""

    def __init__(self, upper: ObjectStore, lower: ObjectStore) -> None:
        self._upper, self._lower = upper, lower

    @property
    def label(self) -> str:
        """The label of the store that is read."""
        return self._lower.label

    @property
    def label_with_server(self) -> str:
        """That of the store that is read."""
        return self._lower.label_with_server

    def check(self) -> None:
        """Check both."""
        self._upper.check()
        self._lower.check()

    def put(self, key: str, file: Path) -> None:
        """Store a file in the upper one."""
        self._upper.put(key, file)

    def get(self, key: str, file: Path) -> None:
        """Write an object to `file`."""
        (self._upper if self._upper.exists(key) else self._lower).get(key, file)

    def exists(self, key: str) -> bool:
        """Whether one of them has the object."""
        return self._upper.exists(key) or self._lower.exists(key)

    def remove(self, key: str) -> None:
        """Delete the object of the upper one if there is one."""
        self._upper.remove(key)

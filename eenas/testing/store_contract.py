"""The contract tests of a store of artifacts, for its author to run."""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from eenas.records.stores.object_store import ObjectStore
from eenas.records.stores.places import STORES, ArtifactPlace, folder_of, open_place
from eenas.testing.named import home_of

SIZE = 2**18
"""The bytes of the objects that are replaced while they are read."""
ROUNDS = 20
"""The number of replacements."""


class StoreContract:
    """A pytest class for a store of artifacts. Derive from it and set `store`.

        class TestMine(StoreContract):
            store = "./my_store.py:MyStore"

    `store` is a place as in `--artifacts`, or a store. The test writes a few objects with names of its own there, and
    removes them.
    """

    store: ClassVar[ArtifactPlace]

    def test_it_keeps_the_contract(self) -> None:
        """See `check_store`."""
        check_store(self.made)

    def made(self) -> ObjectStore:
        """Return the store. Each call opens it anew."""
        place = self.store
        if isinstance(place, str) and folder_of(place) is None and "://" not in place:
            return STORES.find(place, trust_code=True, relative_to=home_of(self))()
        return open_place(place)


def check_store(make: Callable[[], ObjectStore]) -> None:
    """Check a store against the contract of `ObjectStore`. Each call of `make` opens it anew, as another worker does.

    It can be used, has a label of one line, and returns what was stored: nothing, text, and every byte. A missing
    object is reported as such, and can be removed. An object that is replaced is read whole, old or new, and a failed
    `put` leaves the old one. Raises AssertionError with the violated rule, and the errors of the store.
    """
    store, run = make(), f"contract-{uuid4().hex[:12]}"
    store.check()
    assert store.label, "label must name the store"
    assert store.label == " ".join(store.label.split()), f"label must be one line without spaces, got {store.label!r}"
    keys = [f"{run}.{number}" for number in range(4)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            _check_contents(make, keys, Path(folder))
            _check_missing(store, f"{run}.missing", Path(folder))
            _check_replaced(make, keys[0], Path(folder))
    finally:
        for key in keys:
            store.remove(key)
    assert not any(store.exists(key) for key in keys), "a removed object must be gone"


def _check_contents(make: Callable[[], ObjectStore], keys: list[str], folder: Path) -> None:
    store, other, source, found = make(), make(), folder / "source", folder / "found"
    contents = (b"", b"text\r\n\x00\xff", bytes(range(256)) * 4096, b"again")
    for key, content in zip(keys, contents, strict=True):
        assert not store.exists(key), f"there is no {key} yet"
        source.write_bytes(content)
        store.put(key, source)
        assert source.read_bytes() == content, "put must not change the file"
        assert other.exists(key), "an object must be there for other workers when put returns"
        found.write_bytes(b"what was there before")
        other.get(key, found)
        assert found.read_bytes() == content, f"get must return all {len(content)} bytes that were put, and no others"


def _check_missing(store: ObjectStore, key: str, folder: Path) -> None:
    assert not store.exists(key), "an object that was never stored must not exist"
    try:
        store.get(key, folder / "missing")
    except FileNotFoundError:
        pass
    else:
        raise AssertionError("get of a missing object must raise FileNotFoundError")
    store.remove(key)  # no error


def _check_replaced(make: Callable[[], ObjectStore], key: str, folder: Path) -> None:
    """Read an object while it is replaced, and after a `put` that fails."""
    store, source, found, ended = make(), folder / "new", folder / "read", threading.Event()
    source.write_bytes(b"0" * SIZE)
    store.put(key, source)
    seen: list[bytes] = []

    def read() -> None:
        reader = make()
        while not ended.is_set():
            reader.get(key, found)
            seen.append(found.read_bytes())

    def guarded() -> None:
        try:
            read()
        except BaseException as error:
            failed.append(error)

    failed: list[BaseException] = []
    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        for number in range(ROUNDS):
            source.write_bytes(str(number % 10).encode() * SIZE)
            store.put(key, source)
    finally:
        ended.set()
        thread.join()
    assert not failed, f"get must work while the object is replaced, got {failed[0]!r:.200}"
    for each in seen:
        assert len(each) == SIZE, f"a reader must never see a part of an object, got {len(each)} of {SIZE} bytes"
        assert len(set(each)) == 1, "a reader must never see parts of two objects"
    try:
        store.put(key, folder / "no such file")
    except Exception:
        store.get(key, found)
        assert found.read_bytes() == source.read_bytes(), "a put that fails must leave the old object"
    else:
        raise AssertionError("put of a file that does not exist must raise")

"""The artifact store of a study: an object with a random id, by which each worker finds that it has the right one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import inspect, select, update

from eenas.errors import StorageError
from eenas.escaping import shortened
from eenas.measurement.node import node_name
from eenas.progress import Listener, Notice, silent
from eenas.records.database import Database
from eenas.records.stores.object_store import ObjectStore
from eenas.records.tables import STORES


class StudyArtifacts:
    """The store of one study's artifacts, which the database knows by the key of an object in it.

    The store may be moved, or have another path on each machine. Its last place is recorded as well: a store that lost
    the object there was emptied, and what is missing in it is made again.
    """

    def __init__(self, database: Database, study: str, store: ObjectStore) -> None:
        self._database, self._study, self._store = database, study, store
        folder = store.folder
        self._place = store.label_with_server if folder is None else f"{node_name()}:{folder.resolve()}"

    def keep(self, listener: Listener = silent) -> None:
        """Record the store of a study that has none, or check it. Raises StorageError for another one."""
        if (known := self._known()) is None:
            key = f"study-{uuid4().hex}"
            self._put(key)  # before the record, since from then on other workers look for it
            row = {"study": self._study, "key": key, "place": self._place}
            if self._database.insert(STORES, row) or (known := self._known()) is None:
                return
            self._store.remove(key)
        key, place = known
        if not self._holds(key, place):
            listener(Notice(f"{self._store.label}: the artifacts of {self._study} are gone; they are made again"))
            self._put(key)
        if place != self._place:
            of_study = STORES.c.study == self._study
            self._database.change(update(STORES).where(of_study).values(place=self._place))

    def check(self) -> None:
        """Raise StorageError if the study has another store. Nothing is written."""
        if (known := self._known()) is not None:
            self._holds(*known)

    def _holds(self, key: str, place: str) -> bool:
        """Whether the object is there. False for a store that lost it at its last place; StorageError for another."""
        folder = self._store.folder
        if (folder is None or folder.is_dir()) and self._store.exists(key):
            return True
        if place == self._place:
            return False
        raise StorageError(
            f"{self._store.label_with_server}: these are not the artifacts of the study {self._study!r}, which were "
            f"last at {shortened(place, 300)}; give that --artifacts, or, if they are lost, create the empty file "
            f"{self._store.label}/{key}, and what is missing is made again"
        )

    def _known(self) -> tuple[str, str] | None:
        """Return key and last place, None for a study of an earlier eenas."""
        with self._database.transaction() as connection:
            if not inspect(connection).has_table(STORES.name):
                return None
            row = connection.execute(select(STORES.c.key, STORES.c.place).where(STORES.c.study == self._study)).first()
        return None if row is None else (row.key, row.place)

    def _put(self, key: str) -> None:
        with TemporaryDirectory() as folder:
            (file := Path(folder) / key).write_text(self._study, encoding="utf-8")
            self._store.put(key, file)

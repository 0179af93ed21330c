"""The place of a study's artifacts: a folder, a URL or a user's own store, and the store that it names."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from eenas.errors import EenasError, StorageError
from eenas.masking import masked, masked_url
from eenas.plugins import Registry, described, is_reference
from eenas.records.stores.bucket_url import BucketUrl
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.gcs_store import GcsStore
from eenas.records.stores.object_store import ObjectStore
from eenas.records.stores.s3_store import S3Store

ArtifactPlace: TypeAlias = str | Path | ObjectStore
"""A folder, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `./file.py:Store`, or a store."""
EXAMPLES = "give a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or ./file.py:Store"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://.*", re.DOTALL)
_BUCKETS: dict[str, Callable[[BucketUrl], ObjectStore]] = {"s3": S3Store, "gs": GcsStore}


def open_place(place: ArtifactPlace, *, create: bool = True, trust_code: bool = False) -> ObjectStore:
    """Return the store of a place. With `create`, a missing folder is made.

    Raises StorageError for an unknown scheme, a malformed URL, a missing extra, and a folder that cannot be used;
    PluginError for a store of the user's own that is not trusted or cannot be loaded.
    """
    if isinstance(place, ObjectStore):
        return place
    if folder_of(place) is not None:
        return FolderStore(Path(place), create=create)
    url = _SCHEME.fullmatch(str(place))
    if url is None:
        return STORES.find(str(place), trust_code=trust_code)()
    if url[1].lower() not in _BUCKETS:
        raise StorageError(f"{place_text(place)}: unknown kind of store {url[1]!r}; {EXAMPLES}")
    return _BUCKETS[url[1].lower()](BucketUrl.read(str(place)))


def check_place(place: ArtifactPlace) -> None:
    """Raise the StorageError of a malformed place, without opening it."""
    if not isinstance(place, str) or (url := _SCHEME.fullmatch(place)) is None:
        return
    if url[1].lower() not in _BUCKETS:
        raise StorageError(f"{place_text(place)}: unknown kind of store {url[1]!r}; {EXAMPLES}")
    BucketUrl.read(place)


def folder_of(place: ArtifactPlace) -> Path | None:
    """Return the folder that a place is, or None for a store elsewhere."""
    if isinstance(place, ObjectStore):
        return place.folder
    if isinstance(place, Path):
        return place
    if _SCHEME.fullmatch(place) or (is_reference(place) and not Path(place).is_dir()):
        return None
    return Path(place)


def place_text(place: ArtifactPlace) -> str:
    """Return a place for messages and command lines, without credentials."""
    if isinstance(place, ObjectStore):
        return place.label
    if folder_of(place) is not None:
        return str(place)
    scheme, _, rest = str(place).partition("://")
    return f"{scheme}://***" if "@" in rest else masked_url(str(place))[:300]


def _accept(name: str, found: Any) -> Callable[[], ObjectStore]:
    """Return the function or class that makes a user's store. Raises StorageError for anything else."""
    rule = "must be a class derived from eenas.records.ObjectStore, or a function that returns such an object"
    if not callable(found):
        raise StorageError(f"{name}: {rule}, got {described(found)}")

    def make() -> ObjectStore:
        try:
            store = found()
        except EenasError:
            raise
        except Exception as error:  # whatever the user's code raises
            reason = masked(" ".join(str(error).split()))[:300]
            raise StorageError(f"{name}: cannot be opened ({type(error).__name__}: {reason}); correct it") from error
        if not isinstance(store, ObjectStore):
            raise StorageError(f"{name}: {rule}, got {described(store)}")
        return store

    return make


STORES: Registry[Callable[[], ObjectStore]] = Registry("artifact store", {}, accept=_accept, error=StorageError)
"""The users' own stores. Eenas's are named by the schemes of URLs."""

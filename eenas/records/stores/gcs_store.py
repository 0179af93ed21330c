"""A bucket of Google Cloud Storage as a store of artifacts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eenas.errors import StorageError
from eenas.masking import masked, masked_url
from eenas.records.stores.bucket_url import BucketUrl
from eenas.records.stores.object_store import ObjectStore, TransientStoreError

GOOGLE = "https://storage.googleapis.com"
"""The address of Google's own server."""
TIMEOUT = (10, 60)
"""The seconds to connect, and to wait for the next bytes."""


class GcsStore(ObjectStore):
    """The objects of a bucket under a prefix.

    Credentials are Google's application default credentials (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth
    application-default login`, or the account of the machine). Raises StorageError without the extra `gcs`.
    """

    def __init__(self, url: BucketUrl) -> None:
        self._url = url
        try:
            from google.cloud import storage
        except ImportError as error:
            raise StorageError(f"{url}: needs google-cloud-storage ({error}); pip install 'eenas[gcs]'") from None
        with self._storage_errors():
            client = storage.Client(project="none")  # only creating and listing buckets need a project
            self._bucket: Any = client.bucket(url.bucket)

    @property
    def label(self) -> str:
        """The URL of bucket and prefix."""
        return str(self._url)

    @property
    def label_with_server(self) -> str:
        """The URL, with the address of a server that is not Google's (`STORAGE_EMULATOR_HOST`)."""
        endpoint = str(self._bucket.client.api_endpoint).rstrip("/")
        return self.label if endpoint == GOOGLE else f"{self.label} on {masked_url(endpoint)}"

    def check(self) -> None:
        """Ask for the objects of the bucket. Raises StorageError if it is missing or there is no access to it."""
        with self._storage_errors():
            list(self._bucket.list_blobs(prefix=self._url.prefix, max_results=1, timeout=TIMEOUT, retry=None))

    def put(self, key: str, file: Path) -> None:
        """Send a file. Readers see it when all of it has arrived and its checksum is right."""
        with self._storage_errors():
            self._blob(key).upload_from_filename(str(file), timeout=TIMEOUT, retry=None, checksum="crc32c")

    def get(self, key: str, file: Path) -> None:
        """Receive an object."""
        with self._storage_errors(key), file.open("wb") as stream:
            self._blob(key).download_to_file(stream, timeout=TIMEOUT, retry=None)

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        with self._storage_errors():
            return bool(self._blob(key).exists(timeout=TIMEOUT, retry=None))

    def remove(self, key: str) -> None:
        """Delete the object if it exists."""
        try:
            with self._storage_errors(key):
                self._blob(key).delete(timeout=TIMEOUT, retry=None)
        except FileNotFoundError:
            return

    def _blob(self, key: str) -> Any:
        return self._bucket.blob(self._url.prefix + key)

    @contextmanager
    def _storage_errors(self, key: str | None = None) -> Iterator[None]:
        """Convert errors of Google's libraries inside the block. `key` is the object that may be missing."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            yield
        except GoogleAPICallError as error:
            raise self._converted(error, key) from None
        except TransportError as error:
            raise self._unanswered(error) from None
        except GoogleAuthError as error:
            raise StorageError(
                f"{self.label}: no credentials for Google Cloud ({_said(error)}); set GOOGLE_APPLICATION_CREDENTIALS "
                "or run `gcloud auth application-default login`"
            ) from None
        except OSError as error:
            if not type(error).__module__.startswith(("requests", "urllib3")) and not isinstance(
                error, ConnectionError | TimeoutError
            ):
                raise
            raise self._unanswered(error) from None
        except Exception as error:  # of urllib3 and the library of resumable transfers
            if not type(error).__module__.startswith(("urllib3", "google")):
                raise
            raise self._unanswered(error) from None

    def _unanswered(self, error: Exception) -> TransientStoreError:
        return TransientStoreError(f"{self.label}: the server does not answer ({_said(error)}); check the connection")

    def _converted(self, error: Any, key: str | None) -> Exception:
        status, reason = int(error.code or 0), _said(error)
        if status == 404 and key is not None and "bucket" not in reason.lower():
            return FileNotFoundError(f"{self.label}: there is no object {key}")
        if status == 404:
            return StorageError(f"{self.label}: there is no bucket {self._url.bucket!r}; create it, or correct the URL")
        if status == 507 or "quota" in reason.lower():
            return StorageError(
                f"{self.label}: the store is full ({reason}); free space, raise its quota, or give another --artifacts"
            )
        if status in (401, 403):
            return StorageError(
                f"{self.label}: access denied ({reason}); check the credentials and their right to list, read, write "
                "and delete there"
            )
        if status in (408, 429) or status >= 500:
            return TransientStoreError(f"{self.label}: the server fails ({reason}); check it, and rerun the command")
        return StorageError(f"{self.label}: the server refuses ({reason}); check the bucket")


def _said(error: Exception) -> str:
    return masked(" ".join(str(error).split()))[:300]

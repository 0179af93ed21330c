"""A bucket of Amazon S3, or of a server with its interface, as a store of artifacts."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eenas.errors import StorageError
from eenas.masking import masked, masked_url
from eenas.records.stores.bucket_url import BucketUrl
from eenas.records.stores.object_store import ObjectStore, TransientStoreError

LARGE = 64 * 2**20
"""The bytes above which a file is sent in parts, which S3 joins into one object at the end."""
TRANSIENT = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "ThrottlingException", "InternalError"}
"""Codes of errors that pass, besides the HTTP statuses 408, 429 and from 500 on."""
FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "StorageFull", "ServiceQuotaExceededException"}
"""Codes of servers without space. Amazon has none."""
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"}


class S3Store(ObjectStore):
    """The objects of a bucket under a prefix.

    Credentials, region and endpoint are those that boto3 finds: the environment (`AWS_ACCESS_KEY_ID`,
    `AWS_ENDPOINT_URL_S3`, ...), the files in `~/.aws`, or the role of the machine. Raises StorageError without the
    extra `s3`.
    """

    def __init__(self, url: BucketUrl) -> None:
        self._url = url
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise StorageError(f"{url}: needs boto3 ({error}); pip install 'eenas[s3]'") from None
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},  # the caller retries, also what boto3 does not
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=32,
            request_checksum_calculation="when_required",  # artifacts have digests, and other servers lack the trailers
            response_checksum_validation="when_required",
        )
        with self._storage_errors():
            self._client: Any = boto3.session.Session().client("s3", config=config)

    @property
    def label(self) -> str:
        """The URL of bucket and prefix."""
        return str(self._url)

    @property
    def label_with_server(self) -> str:
        """The URL, with the address of a server that is not Amazon's. Amazon's names of buckets are unique."""
        endpoint = str(self._client.meta.endpoint_url)
        host = urlsplit(endpoint).hostname or ""
        is_amazon = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return self.label if is_amazon else f"{self.label} on {masked_url(endpoint).rstrip('/')}"

    def check(self) -> None:
        """Ask for the bucket. Raises StorageError if it is missing or there is no access to it."""
        with self._storage_errors():
            self._client.head_bucket(Bucket=self._url.bucket)

    def put(self, key: str, file: Path) -> None:
        """Send a file in one request or, if it is large, in parts. Readers see it when the last part has arrived."""
        with self._storage_errors(), file.open("rb") as stream:
            if file.stat().st_size > LARGE:
                self._client.upload_fileobj(stream, self._url.bucket, self._url.prefix + key)
            else:
                self._client.put_object(Bucket=self._url.bucket, Key=self._url.prefix + key, Body=stream)

    def get(self, key: str, file: Path) -> None:
        """Receive an object. Raises TransientStoreError if the connection ends before the object does."""
        with self._storage_errors(key):
            found = self._client.get_object(Bucket=self._url.bucket, Key=self._url.prefix + key)
            with closing(found["Body"]) as body, file.open("wb") as stream:  # `with body` skips its check of the length
                shutil.copyfileobj(body, stream, 2**20)

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        try:
            with self._storage_errors(key):
                self._client.head_object(Bucket=self._url.bucket, Key=self._url.prefix + key)
        except FileNotFoundError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Delete the object if it exists."""
        with self._storage_errors():
            self._client.delete_object(Bucket=self._url.bucket, Key=self._url.prefix + key)

    @contextmanager
    def _storage_errors(self, key: str | None = None) -> Iterator[None]:
        """Convert errors of boto3 inside the block. `key` is the object that may be missing."""
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            raise self._converted(error, key) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise StorageError(
                f"{self.label}: no credentials for S3 ({_said(error)}); set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from None
        except (exceptions.SSLError, exceptions.InvalidProxiesConfigError) as error:
            raise StorageError(f"{self.label}: no safe connection ({_said(error)}); check the endpoint") from None
        except (
            *(exceptions.ConnectionError, exceptions.HTTPClientError),
            *(exceptions.IncompleteReadError, exceptions.ResponseStreamingError),
        ) as error:
            raise TransientStoreError(
                f"{self.label}: the server does not answer ({_said(error)}); check the endpoint (AWS_ENDPOINT_URL_S3)"
            ) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise StorageError(f"{self.label}: {_said(error)}; check bucket, region and endpoint") from None

    def _converted(self, error: Any, key: str | None) -> Exception:
        said = error.response.get("Error", {})
        code, status = str(said.get("Code", "")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reason = masked(f"{code}: {said.get('Message', '')}".strip(": ")) or str(status)
        if code == "NoSuchBucket" or (status == 404 and key is None):
            return StorageError(f"{self.label}: there is no bucket {self._url.bucket!r}; create it, or correct the URL")
        if status == 404:
            return FileNotFoundError(f"{self.label}: there is no object {key}")
        if code in FULL or status == 507:
            return StorageError(
                f"{self.label}: the store is full ({reason}); free space, raise its quota, or give another --artifacts"
            )
        if code in EXPIRED:
            return StorageError(f"{self.label}: the credentials have expired ({reason}); renew them")
        if status in (401, 403):
            return StorageError(
                f"{self.label}: access denied ({reason}); check the credentials and their right to list, read, write "
                "and delete there"
            )
        if code in TRANSIENT or status in (408, 429) or status >= 500:
            return TransientStoreError(f"{self.label}: the server fails ({reason}); check it, and rerun the command")
        return StorageError(f"{self.label}: the server refuses ({reason}); check bucket, region and endpoint")


def _said(error: Exception) -> str:
    return masked(" ".join(str(error).split()))[:300]

"""The URL of a bucket: `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`."""

import re
from dataclasses import dataclass
from typing import Self

from eenas.errors import StorageError
from eenas.escaping import shortened
from eenas.masking import masked_url

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{1,221}")
_PREFIX = re.compile(r"[^\s?#@\\\x00-\x1f]*")


@dataclass(frozen=True)
class BucketUrl:
    """A bucket and the prefix of keys in it, which is empty or ends with `/`."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a URL.

        Raises StorageError for credentials or parameters in it, and for a missing or impossible bucket. The message
        shows no credentials.
        """
        scheme, _, rest = text.partition("://")
        name = scheme.lower()
        example = f"write {name}://BUCKET/PREFIX"
        if "@" in rest:
            raise StorageError(
                f"{name}://***: credentials do not belong in the URL; {example} and give them in the environment"
            )
        if "?" in rest or "#" in rest:
            raise StorageError(f"{shortened(masked_url(text))}: the URL of a store takes no parameters; {example}")
        bucket, _, prefix = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise StorageError(f"{shortened(masked_url(text))}: {shortened(bucket)} is not a bucket; {example}")
        prefix = prefix.strip("/")
        if not _PREFIX.fullmatch(prefix) or len(prefix) > 500:
            raise StorageError(
                f"{shortened(masked_url(text))}: the prefix must be a path without spaces of at most 500 characters; "
                f"{example}"
            )
        return cls(name, bucket, f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        """The URL without a final slash."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")

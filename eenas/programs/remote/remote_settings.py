"""The settings of the way to a server: the split, deadline, retries, codec and compression."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from eenas.errors import EenasError, InputError, nearest
from eenas.escaping import shortened
from eenas.programs.remote.content_encoding import CONTENT_ENCODINGS, compressed_body
from eenas.programs.remote.feature_codec import check_codec
from eenas.programs.remote.split_table import SplitTable

COMPRESSIONS = ("none", *CONTENT_ENCODINGS)
_MOST_BATCH = 1_000_000


class RemoteOptions(TypedDict, total=False):
    """The options of `load` for a model whose rest runs on a server; see RemoteSettings."""

    split: str | None
    token: str
    deadline_ms: float
    retries: int
    codec: str
    compression: str
    max_batch: int
    ca_file: str
    table: SplitTable | None


@dataclass(frozen=True, kw_only=True)
class RemoteSettings:
    """The way to the server `url`.

    `split` is the cut point of an exit, "" (the input is sent) or "final" (nothing is sent). None is the split of an
    edge folder or of the `table`, or the best one of the operating point in use for a model that was searched with
    tiers. `token` is sent as a bearer token. `deadline_ms` limits the time of one `predict` from its start, `retries`
    the repetitions of a failed request within it. `codec` is float32, float16, int8 or int8_channel, `compression` is
    none, deflate, gzip, zstd or lz4. A request has at most `max_batch` samples. `ca_file` holds the certificates that
    are trusted for https (PEM). With a `table`, split and operating point follow the link.

    Raises InputError for values out of range, and for a compression whose package is not installed.
    """

    url: str
    split: str | None = None
    token: str = ""
    deadline_ms: float = 1000.0
    retries: int = 2
    codec: str = "float32"
    compression: str = "none"
    max_batch: int = 64
    ca_file: str = ""
    table: SplitTable | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        limit = self.deadline_ms
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not number or not math.isfinite(limit) or not 0 < limit <= 1e9:
            raise InputError(f"deadline_ms must be a positive number of milliseconds, got {shortened(limit)}")
        for name, least, most in (("retries", 0, 100), ("max_batch", 1, _MOST_BATCH)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"{name} must be a whole number from {least} to {most:,}, got {shortened(value)}")
        for name in ("token", "ca_file"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be a string, got {shortened(getattr(self, name))}")
        check_codec(self.codec)
        if self.compression not in COMPRESSIONS:
            raise InputError(
                f"unknown compression {shortened(self.compression)}; {nearest(str(self.compression), COMPRESSIONS)}"
            )
        if self.table is not None and not isinstance(self.table, SplitTable):
            raise InputError(f"table must be a SplitTable, got {type(self.table).__name__}")
        if self.table is not None and self.split is not None:
            raise InputError("a table chooses the split; leave split out")
        if self.compression != "none":
            try:
                compressed_body(b"", self.compression)
            except EenasError as error:
                raise InputError(str(error)) from None


def remote_settings(url: str | None, options: Mapping[str, Any]) -> RemoteSettings | None:
    """Return the settings in the options of `load`, or None without a server. Raises InputError for unknown ones."""
    known = [field.name for field in fields(RemoteSettings) if field.name != "url"]
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"load has no option {unknown[0]!r:.60}; {nearest(unknown[0], known)}")
    if url is None:
        if options:
            raise InputError(
                f"{next(iter(options))} belongs to a server; give remote='http://host:8000' (--remote URL)"
            )
        return None
    return RemoteSettings(url=url, **options)

"""The limits of a server on the size, the rate and the time of requests."""

import math
from dataclasses import dataclass, fields

from eenas.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ServingLimits:
    """The limits of a server. Raises InputError for numbers out of range.

    `body_mb` limits the body of a request, compressed or not, and `memory_mb` all bodies that are received or read at
    the same time (MB: 1e6 bytes). `samples` limits the samples of a request and `batch` those of one run of a segment.
    `queue` limits the samples of each model that wait or are in work, and `connections` the open connections. `rate`
    limits the requests per second of each client address (None: no limit). A request that is not answered within
    `deadline_s` is refused, and so is one whose head or body is not received within `receive_s`. A client that takes
    less than 64 KiB of its answers within `receive_s` is cut off. A server that is stopped answers accepted requests
    for at most `stop_s`.
    """

    body_mb: float = 64.0
    memory_mb: float = 1000.0
    samples: int = 1024
    batch: int = 64
    queue: int = 4096
    connections: int = 1000
    rate: float | None = None
    deadline_s: float = 30.0
    receive_s: float = 10.0
    stop_s: float = 30.0

    def __post_init__(self) -> None:
        """Check the values."""
        for each in fields(self):
            value = getattr(self, each.name)
            whole = each.type is int
            if each.name == "rate" and value is None:
                continue
            is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or not 0 < value <= 1e9 or (whole and value < 1):
                kind = "a whole number from 1" if whole else "a number above 0"
                raise InputError(f"{each.name} must be {kind} to 1e9, got {value!r:.60}")

    @property
    def body_bytes(self) -> int:
        """The largest number of bytes of a body."""
        return int(self.body_mb * 1e6)

    @property
    def memory_bytes(self) -> int:
        """The largest number of bytes of all bodies at the same time, at least those of one body."""
        return max(int(self.memory_mb * 1e6), self.body_bytes)

    @property
    def receiving(self) -> int:
        """The largest number of bodies of unknown size that are received at the same time, in half of the memory."""
        return max(1, self.memory_bytes // (2 * self.body_bytes))

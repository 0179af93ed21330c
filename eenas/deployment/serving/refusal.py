"""A request that is refused, with its HTTP status and the reason as metrics count it."""

from eenas.errors import EenasError

STATUSES = {
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "slow_body": 408,
    "too_large": 413,
    "rate": 429,
    "failed": 500,
    "queue_full": 503,
    "stopping": 503,
    "late": 504,
}
"""The HTTP status of each reason."""


class Refusal(EenasError):
    """A request that the server does not answer. `retry_after` are the seconds until it is worth another try."""

    def __init__(self, reason: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.retry_after = reason, retry_after

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return STATUSES[self.reason]

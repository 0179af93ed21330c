"""HTTP connections that hold to the limits of the server and are refused in the form of the protocol."""

import asyncio
from typing import Any

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.refusal import Refusal
from eenas.programs.remote.open_inference import encode_protocol_error

_LINES = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}


def connection_class(limits: ServingLimits, metrics: ServingMetrics) -> type[asyncio.Protocol]:
    """Return the class of uvicorn's connections with limits on their number and on the time of a request's head."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    base: Any = AutoHTTPProtocol

    class LimitedConnection(base):  # type: ignore[misc]  # which of two classes it is depends on the installation
        """A connection that is closed if the head of a request does not come in time."""

        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                text = f"at most {limits.connections:,} connections are open at the same time; try again later"
                self._end(Refusal("queue_full", text, retry_after=1))
                return
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            if self._head is None and self._is_between_requests():
                self._expect_head()
            super().data_received(data)
            if self._head is not None and not self._is_between_requests():
                self._head.cancel()
                self._head = None

        def connection_lost(self, exc: Exception | None) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._end(Refusal("malformed", "the request is not valid HTTP"))

        def _expect_head(self) -> None:
            self._head = asyncio.get_running_loop().call_later(limits.receive_s, self._no_head)

        def _no_head(self) -> None:
            self._head = None
            if self._is_between_requests():
                text = f"no whole head of a request was received within {limits.receive_s:g} s; send it at once"
                self._end(Refusal("slow_body", text))

        def _is_between_requests(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _end(self, refusal: Refusal) -> None:
            """Refuse what was sent so far, and close the connection."""
            metrics.refused(refusal.reason)
            body, status = encode_protocol_error(str(refusal)), refusal.status
            lines = [
                b"HTTP/1.1 %d %s" % (status, _LINES[status]),
                b"content-type: application/json",
                b"content-length: %d" % len(body),
                *([] if refusal.retry_after is None else [b"retry-after: %d" % refusal.retry_after]),
                b"connection: close",
            ]
            self.transport.write(b"\r\n".join([*lines, b"", body]))
            self.transport.close()

    return LimitedConnection

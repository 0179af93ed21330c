"""HTTP connections that hold to the limits of the server and are refused in the form of the protocol."""

import asyncio
from typing import Any

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.refusal import Refusal
from eenas.programs.remote.open_inference import encode_protocol_error

_LINES = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}
_LEAST_READ = 65_536
"""The least number of bytes of its answers that a client takes within the limit of a body."""
_MOST_PIPELINED = 100
"""The largest number of requests on a connection that wait for the answer to an earlier one."""
_GOODBYE_S = 1.0
"""The seconds that a client of a server that stops has for its part of the end of TLS."""


def connection_class(limits: ServingLimits, metrics: ServingMetrics) -> type[asyncio.Protocol]:
    """Return the class of uvicorn's connections with limits on their number and on the time of heads and answers."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    base: Any = AutoHTTPProtocol

    class LimitedConnection(base):  # type: ignore[misc]  # which of two classes it is depends on the installation
        """A connection that is closed if the head of a request does not come in time, or answers are not read."""

        _head: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None
        _goodbye: asyncio.TimerHandle | None = None
        _answers = 0

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
            if len(getattr(self, "pipeline", ())) > _MOST_PIPELINED:  # uvicorn has no limit
                metrics.refused("queue_full")
                self.transport.abort()
            if self._head is not None and not self._is_between_requests():
                self._head.cancel()
                self._head = None

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._head, self._reading, self._goodbye):
                if timer is not None:
                    timer.cancel()
            self._head = self._reading = self._goodbye = None
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._expect_reading()

        def on_response_complete(self) -> None:
            self._answers += 1
            super().on_response_complete()
            if self.transport.get_write_buffer_size():
                self._expect_reading()

        def shutdown(self) -> None:
            super().shutdown()
            self._expect_goodbye()

        def send_400_response(self, msg: str) -> None:
            self._end(Refusal("malformed", "the request is not valid HTTP"))

        def _expect_head(self) -> None:
            self._head = asyncio.get_running_loop().call_later(limits.receive_s, self._no_head)

        def _no_head(self) -> None:
            self._head = None
            if self._is_between_requests():
                text = f"no whole head of a request was received within {limits.receive_s:g} s; send it at once"
                self._end(Refusal("slow_body", text))

        def _expect_reading(self) -> None:
            if self._reading is None:
                left = self.transport.get_write_buffer_size()
                self._reading = asyncio.get_running_loop().call_later(
                    limits.receive_s, self._look_at_reading, left, self._answers
                )

        def _look_at_reading(self, before: int, answers: int) -> None:
            """Close the connection if the client took less than it must of the `before` bytes that it had to take."""
            self._reading = None
            left = self.transport.get_write_buffer_size()
            if not left:
                return
            waits = self.flow.write_paused or answers == self._answers  # else more was written meanwhile
            if waits and before - left < _LEAST_READ:
                metrics.refused("slow_reader")
                self.transport.abort()
            else:
                self._expect_reading()

        def _expect_goodbye(self) -> None:
            self._goodbye = asyncio.get_running_loop().call_later(
                _GOODBYE_S, self._no_goodbye, self.transport.is_closing()
            )

        def _no_goodbye(self, is_over: bool) -> None:
            """Close a connection that was over, and that the client keeps open; TLS would wait for its part."""
            if is_over and not self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self._expect_goodbye()

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
            if self.transport.get_write_buffer_size():
                self._expect_reading()

    return LimitedConnection

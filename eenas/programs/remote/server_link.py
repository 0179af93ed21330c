"""The link to a server: one connection, retries within a deadline, and a circuit breaker that closes by itself."""

import http.client
import random
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from eenas.errors import LinkError
from eenas.programs.json_files import shown
from eenas.programs.remote.http_channel import Channel, Transport, WireReply, WireRequest, time_left
from eenas.programs.remote.open_inference import decode_protocol_error
from eenas.programs.remote.remote_events import RemoteEvents

LINK_LOST, TOO_SLOW, REFUSED, WRONG = "link lost", "too slow", "server refused", "wrong answer"
"""The beginnings of all reasons why the server did not answer."""

_FIRST_PAUSE, _LONGEST_PAUSE, _PROBE_SECONDS = 0.05, 1.0, 0.75
"""Seconds between attempts to reconnect, at first and at most, and the time limit of one attempt."""
_PROBE_ROUND_TRIPS = 10
"""The limit of an attempt behind a slow link, in times of opening the connection."""

_SLOW_IN_A_ROW = 2
"""So many requests in a row without an answer in time open the circuit."""

_BUSY = (429, 503)
_TRANSIENT = (500, 502, 504)


@dataclass(frozen=True, kw_only=True)
class LinkCounts:
    """The counts of a link since its start: requests with an answer, further attempts, connections and bytes."""

    requests: int = 0
    retries: int = 0
    connections: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0


class ServerLink:
    """The way to one server, shared by threads.

    `request` sends over one kept connection and never takes longer than its deadline. A lost connection is opened
    again and the request repeated, at most `retries` times, with growing random pauses. If that fails, if two requests
    in a row get no answer in time, or if the server refuses, the circuit opens: requests then fail at once, with the
    reason, and cost nothing. A background thread tries the server at most a second apart and closes the circuit when
    `greet` accepts the answers on a new connection. `greet(channel, deadline)` raises LinkError if it does not.
    """

    def __init__(
        self,
        transport: Transport,
        greet: Callable[[Channel, float], None],
        *,
        retries: int = 2,
        events: RemoteEvents | None = None,
    ) -> None:
        self._transport, self._greet, self._retries = transport, greet, retries
        self._events = RemoteEvents() if events is None else events
        self._use, self._state = threading.Lock(), threading.Condition()
        self._channel: Channel | None = None
        self._down: str = LINK_LOST  # the reason why the circuit is open; "" while it is closed
        self._is_tried = self._is_probing = self._is_closed = False
        self._slow, self._pause = 0, _FIRST_PAUSE
        self._random = random.Random()
        self._stop = threading.Event()
        self.counts = LinkCounts()

    @property
    def fault(self) -> str:
        """The reason why the circuit is open, or "" if requests are sent."""
        return self._down

    def start(self) -> None:
        """Connect in the background. Requests wait for the first attempt until their deadline."""
        self._open_circuit(LINK_LOST, pause=0.0)

    def wait(self, deadline: float) -> None:
        """Wait for the first attempt to connect. Raises LinkError with the reason if the circuit is open then."""
        with self._state:
            while not self._is_tried and not self._is_closed:
                if (left := deadline - time.monotonic()) <= 0:
                    raise LinkError(TOO_SLOW)
                self._state.wait(left)
            if self._down:
                raise LinkError(self._down)

    def connect(self, deadline: float) -> None:
        """Wait until the circuit is closed. Raises LinkError at the deadline, or at once if the server refuses."""
        with self._state:
            while (not self._is_tried or self._down == LINK_LOST) and not self._is_closed:
                if (left := deadline - time.monotonic()) <= 0:
                    break
                self._state.wait(left)
            if self._down:
                raise LinkError(self._down)

    def request(self, request: WireRequest, deadline: float) -> WireReply:
        """Return the answer with status 200 to a request. Raises LinkError with the reason, at the deadline at last."""
        self.wait(deadline)
        if not self._use.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise LinkError(TOO_SLOW)
        try:
            if self._down or time.monotonic() >= deadline:
                raise LinkError(self._down or TOO_SLOW)
            return self._answered(request, deadline)
        finally:
            self._use.release()

    def distrust(self, reason: str) -> None:
        """Open the circuit because of the content of an answer, and drop the connection."""
        if self._use.acquire(blocking=False):  # another thread that uses the connection judges its own answer
            self._drop()
            self._use.release()
        self._open_circuit(reason, pause=_LONGEST_PAUSE)

    def close(self) -> None:
        """Close the connection and end the background thread. Requests then fail."""
        with self._state:
            self._is_closed, self._down = True, LINK_LOST
            self._state.notify_all()
        self._stop.set()
        with self._use:
            self._drop()

    def _answered(self, request: WireRequest, deadline: float) -> WireReply:
        attempt, pause = 0, _FIRST_PAUSE / 5
        while True:
            failure, lasting = LINK_LOST, True
            try:
                reply = self._exchange(request, deadline)
                self._slow = 0
                if reply.status == 200:
                    return reply
                failure, lasting = f"{REFUSED} ({refusal(reply)})", reply.status not in _BUSY
                if reply.status not in (*_BUSY, *_TRANSIENT):
                    self._open_circuit(failure, pause=_LONGEST_PAUSE)
                    raise LinkError(failure)
            except TimeoutError:
                self._slow += 1
                if self._slow >= _SLOW_IN_A_ROW:
                    self._open_circuit(TOO_SLOW, pause=_LONGEST_PAUSE)
                raise LinkError(TOO_SLOW) from None
            except (OSError, http.client.HTTPException, ValueError) as error:  # the last: a head that is no HTTP
                failure = _lost(error)
            seconds = pause * self._random.uniform(0.5, 1.0)
            if attempt >= self._retries or time.monotonic() + seconds >= deadline:
                if lasting:
                    self._open_circuit(failure, pause=0.0)
                raise LinkError(failure)
            self._stop.wait(seconds)
            attempt, pause = attempt + 1, 2 * pause
            self._count(retries=1)

    def _exchange(self, request: WireRequest, deadline: float) -> WireReply:
        """Return the answer over the kept connection or a new one. A connection that fails is dropped."""
        try:
            if self._channel is None:
                self._channel = self._transport.connect(deadline)
                self._count(connections=1)
            reply = self._channel.exchange(request, deadline)
        except BaseException:
            self._drop()
            raise
        if not self._channel.is_reusable:
            self._drop()
        self._count(requests=1, bytes_sent=reply.sent, bytes_received=reply.received, seconds=reply.seconds)
        return reply

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _count(self, **more: float) -> None:
        with self._state:
            now = vars(self.counts)
            self.counts = LinkCounts(**{name: value + more.get(name, 0) for name, value in now.items()})

    def _open_circuit(self, reason: str, *, pause: float) -> None:
        with self._state:
            if self._is_closed:
                return
            if self._is_tried:
                self._change(reason)
            self._down = reason
            if self._is_probing:
                return
            self._is_probing = True
            self._pause = max(pause, _FIRST_PAUSE)
        wait = pause * self._random.uniform(0.5, 1.0)
        link = weakref.ref(self)  # a model that nobody uses any more ends, whether or not it was closed
        threading.Thread(target=_probe, args=(link, self._stop, wait), name="eenas link", daemon=True).start()

    def _change(self, reason: str) -> None:
        if reason != self._down:
            self._events.add("link", self._down or "up", reason or "up", "" if reason else "the server answers")

    def probe(self) -> float | None:
        """Try the server once. Return the seconds until the next attempt, or None if no more is needed."""
        channel, reason = self._try()
        with self._state:
            self._change(reason)
            self._is_tried, self._down = True, reason
            if self._is_closed or not reason:
                self._is_probing = False
                self._slow = min(self._slow, 1)  # after a slow answer, one more opens the circuit again
                if channel is not None and (self._is_closed or self._channel is not None):
                    channel.close()
                elif channel is not None:
                    self._channel = channel
                self._state.notify_all()
                return None
            self._state.notify_all()
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause * self._random.uniform(0.5, 1.0)

    def _try(self) -> tuple[Channel | None, str]:
        """Return a new connection that `greet` accepted, or the reason for there being none."""
        channel = None
        try:
            self._transport.resolve()
            began = time.monotonic()
            channel = self._transport.connect(began + _PROBE_SECONDS)
            self._count(connections=1)
            round_trip = time.monotonic() - began  # what is asked next takes several of them
            deadline = time.monotonic() + max(_PROBE_SECONDS, _PROBE_ROUND_TRIPS * round_trip)
            self._greet(channel, deadline)
            time_left(deadline)
        except LinkError as error:
            reason = str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = _lost(error)
        else:
            return channel, ""
        if channel is not None:
            with suppress(OSError):
                channel.close()
        return None, reason


def _probe(link: "weakref.ref[ServerLink]", stop: threading.Event, wait: float) -> None:
    """Try the server of a link until it answers, the link is closed, or nobody has the link any more."""
    while not stop.wait(wait) and (own := link()) is not None:
        after = own.probe()
        if after is None:
            return
        wait = after
        del own


def _lost(error: Exception) -> str:
    """Return the reason for a failed connection. A certificate that is not trusted is a refusal."""
    kind = type(error).__name__
    return f"{REFUSED} ({shown(str(error), 120)})" if kind == "SSLCertVerificationError" else LINK_LOST


def refusal(reply: WireReply) -> str:
    """Return the status and the message of an answer that refuses a request."""
    return shown(f"{reply.status} {decode_protocol_error(reply.body)}".strip(), 200)

"""One kept HTTP/1.1 connection whose every step ends at a deadline, with the standard library alone."""

import http.client
import io
import math
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from eenas.errors import InputError, LinkError
from eenas.escaping import shortened

MOST_ANSWER = 1 << 28
"""The largest body of an answer in bytes."""

_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[!-~]+")  # printable ASCII without spaces: nothing that ends a line of a header


@dataclass(frozen=True, kw_only=True)
class WireRequest:
    """A request: `path` begins with a slash, `headers` do not include Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class WireReply:
    """A complete answer. The names of `headers` are in lower case. `seconds` passed since the request began.

    `first_seconds` passed until the first byte of the answer; `sent` and `received` count bytes, heads included.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    first_seconds: float
    sent: int
    received: int


class Channel(Protocol):
    """An open connection. Times are those of `time.monotonic`."""

    def exchange(self, request: WireRequest, deadline: float) -> WireReply:
        """Send a request and return its answer. Raises TimeoutError at the deadline, OSError, HTTPException."""

    def close(self) -> None:
        """Close the connection."""

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow."""


class Transport(Protocol):
    """The way to a server."""

    def resolve(self) -> None:
        """Look up the server's addresses, which may take long. Raises OSError."""

    def connect(self, deadline: float) -> Channel:
        """Open a connection to a known address. Raises TimeoutError at the deadline, OSError without an address."""


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """A server: "http" or "https", a host and a port, the part of the path before /v2, and perhaps a model's name."""

    scheme: str
    host: str
    port: int
    base: str = ""
    model: str = ""


def server_address(url: str) -> ServerAddress:
    """Return the server in "http://host:8000", optionally with a path and "/v2/models/NAME". Raises InputError."""
    wanted = "the server is a URL such as http://host:8000 or https://host/path"
    if not isinstance(url, str) or not _PLAIN.fullmatch(url) or len(url) > 2000:
        raise InputError(f"{wanted}, got {shortened(url)}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(f"{wanted}, got {shortened(url)}") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"{wanted}, got {shortened(url)}")
    if parts.username is not None or parts.password is not None:
        raise InputError(f"{wanted}, without a user or a password; give the token as token=... (--token)")
    base, _, model = parts.path.rstrip("/").partition("/v2/models/")
    if "/" in model:
        raise InputError(f"{wanted}/v2/models/NAME, got {shortened(url)}")
    return ServerAddress(
        scheme=parts.scheme,
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        base=base.removesuffix("/v2"),
        model=model,
    )


class HttpTransport:
    """Connections to an HTTP server, with TCP_NODELAY and, for https, a checked certificate."""

    def __init__(self, address: ServerAddress, *, token: str = "", ca_file: str = "") -> None:
        self._address = address
        self._known: list[Any] = []
        name = f"[{address.host}]" if ":" in address.host else address.host
        self._headers = {"Host": f"{name}:{address.port}", "User-Agent": "eenas"}
        if token:
            if not _PLAIN.fullmatch(token):
                raise InputError("a token consists of printable ASCII characters without spaces; copy it again")
            self._headers["Authorization"] = f"Bearer {token}"
        self._tls = _tls_context(ca_file) if address.scheme == "https" else None

    def resolve(self) -> None:
        """See `Transport`."""
        self._known = socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)

    def connect(self, deadline: float) -> "HttpChannel":
        """See `Transport`."""
        failure = OSError(f"the address of {self._address.host} is not known yet")
        for family, kind, number, _, place in self._known:
            connection = socket.socket(family, kind, number)
            try:
                connection.settimeout(time_left(deadline))
                connection.connect(place)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    connection.settimeout(time_left(deadline))
                    connection = self._tls.wrap_socket(connection, server_hostname=self._address.host)
                return HttpChannel(connection, self._headers)
            except TimeoutError:
                connection.close()
                raise
            except OSError as error:
                connection.close()
                failure = error
        raise failure


class HttpChannel:
    """A connection to an HTTP server; see `Channel`."""

    def __init__(self, connection: Any, headers: Mapping[str, str]) -> None:
        self._socket, self._headers = connection, headers
        self._reusable = True

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow."""
        return self._reusable

    def exchange(self, request: WireRequest, deadline: float) -> WireReply:
        """See `Channel`. The head and the body of the request leave together."""
        self._reusable = False  # until the answer is complete
        lines = {**self._headers, **request.headers, "Content-Length": str(len(request.body))}
        head = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        began = time.monotonic()
        data = head.encode("latin-1") + b"\r\n" + request.body
        rest = memoryview(data)
        while rest:  # over TLS, the time limit of `sendall` is that of each record
            self._socket.settimeout(time_left(deadline))
            rest = rest[self._socket.send(rest) :]
        stream = TimedStream(self._socket, deadline)
        response = http.client.HTTPResponse(_FileOf(stream), method=request.method)  # type: ignore[arg-type]
        try:
            response.begin()
            first = time.monotonic() - began
            body = _whole_body(response)
            reply = WireReply(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=body,
                seconds=time.monotonic() - began,
                first_seconds=first,
                sent=len(data),
                received=stream.received,
            )
            self._reusable = not response.will_close
        finally:
            response.close()
        return reply

    def close(self) -> None:
        """Close the connection at once."""
        self._reusable = False
        self._socket.close()

    def __del__(self) -> None:
        """Close the connection of a model that nobody uses any more."""
        self._socket.close()


class TimedStream(io.RawIOBase):
    """The bytes that a socket receives until a deadline. Every read ends there, however slowly they arrive."""

    def __init__(self, connection: Any, deadline: float) -> None:
        self._socket, self._deadline = connection, deadline
        self.received = 0

    def readable(self) -> bool:
        """Whether the stream can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has arrived. Raises TimeoutError at the deadline."""
        self._socket.settimeout(time_left(self._deadline))
        count = int(self._socket.recv_into(buffer))
        self.received += count
        return count


class _FileOf:
    """What `http.client` takes for a socket."""

    def __init__(self, stream: TimedStream) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream)


def _whole_body(response: http.client.HTTPResponse) -> bytes:
    """Return the body. Raises HTTPException if it ends too early, LinkError if it is too large."""
    too_large = LinkError(f"wrong answer (a body of more than {MOST_ANSWER:,} bytes)")
    if response.length is not None:
        if response.length > MOST_ANSWER:
            raise too_large
        return response.read()
    if not response.chunked:  # a head that is cut off looks like one without a length
        raise http.client.IncompleteRead(b"")
    parts, size = [], 0
    while part := response.read(1 << 20):
        parts.append(part)
        if (size := size + len(part)) > MOST_ANSWER:
            raise too_large
    return b"".join(parts)


def time_left(deadline: float) -> float | None:
    """Return the seconds until a deadline, None for infinity. Raises TimeoutError once it has passed."""
    if math.isinf(deadline):
        return None
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def _tls_context(ca_file: str) -> Any:
    """Return the settings of TLS. `ca_file` holds the certificates to trust (default: those of the system)."""
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"ca_file {shortened(ca_file)}: cannot be read as PEM certificates ({reason})") from None

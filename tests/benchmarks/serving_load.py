"""Requests of single samples to a server over many connections, from one thread."""

import random
import re
import selectors
import socket
import time
from collections import deque

from serving_child import Array

from eenas.programs.remote.open_inference import InferenceRequest, encode_inference_request


class SingleSamples:
    """Requests of single samples over `connections`, all from one thread, so that the client costs little time.

    Without a rate, each connection sends its next request when it has an answer. With one, requests arrive at random
    times, so many a second on average, and wait for a free connection.
    """

    def __init__(self, port: int, x: Array, connections: int, rate: float | None = None) -> None:
        self._requests = [_raw_request(x[row : row + 1]) for row in range(len(x))]
        self._random, self._rate = random.Random(0), rate
        self._selector, self._free = selectors.DefaultSelector(), []
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
            self._free.append(connection)

    def run(self, seconds: float) -> list[tuple[int, float]]:
        """The exit and the latency in seconds of each sample that was sent within so many seconds."""
        found: list[tuple[int, float]] = []
        sent: dict[socket.socket, float] = {}
        received: dict[socket.socket, bytes] = {}
        due: deque[float] = deque()
        end = (next_one := time.perf_counter()) + seconds
        while (now := time.perf_counter()) < end or sent:
            while self._rate is not None and next_one <= min(now, end):
                due.append(next_one)
                next_one += self._random.expovariate(self._rate)
            while self._free and now < end and (due or self._rate is None):
                connection = self._free.pop()
                sent[connection] = due.popleft() if due else time.perf_counter()
                received[connection] = b""
                connection.sendall(self._random.choice(self._requests))
            idle = self._rate is not None and self._free and now < end
            wait = max(min(next_one, end) - time.perf_counter(), 0.0) if idle else 1.0
            for key, _ in self._selector.select(wait):
                readable = key.fileobj
                assert isinstance(readable, socket.socket)
                connection = readable
                received[connection] += connection.recv(65536)
                exit_ = _exit_in(received[connection])
                if exit_ is not None:
                    found.append((exit_, time.perf_counter() - sent.pop(connection)))
                    self._free.append(connection)
        return found

    def close(self) -> None:
        """Close all connections."""
        for connection in self._free:
            connection.close()
        self._selector.close()


def _raw_request(sample: Array) -> bytes:
    """A whole HTTP request for the exit of a sample."""
    wanted = InferenceRequest(inputs={"image": sample}, outputs=("exits",), binary_outputs=frozenset({"exits"}))
    body = encode_inference_request(wanted)
    lines = [f"{name}: {value}" for name, value in body.headers.items()]
    head = ["POST /v2/models/m/infer HTTP/1.1", "host: a", f"content-length: {len(body.data)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body.data


def _exit_in(data: bytes) -> int | None:
    """The exit in a response to `_raw_request`, or None as long as it is not whole."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    if length is None or len(body) < int(length[1]):
        return None
    assert head.startswith(b"HTTP/1.1 200"), data
    return int.from_bytes(body[-8:], "little")

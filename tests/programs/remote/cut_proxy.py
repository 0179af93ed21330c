"""A TCP proxy that cuts the link to a server in every way that a link can be cut."""

import contextlib
import random
import socket
import struct
import threading
import time

CUTS = ("kill", "hang", "refuse", "half answer", "garbage")
"""Connections are reset; nothing arrives any more; nobody listens; answers end in the middle; answers are noise."""


class CutProxy:
    """Forwards connections to `port` of this machine from its own `port`, until `cut` says otherwise."""

    def __init__(self, port: int) -> None:
        self._target, self._how = port, ""
        self._pairs, self._lock = set(), threading.Lock()
        self._listener = None
        self._closing = False
        self.port = 0
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self, how: str) -> None:
        """Cut the link in one of the ways of CUTS. New connections meet the same fate until `restore`."""
        self._how = how
        if how == "refuse":
            self._stop_listening()
        if how in ("kill", "refuse"):
            self._reset_all()

    def restore(self) -> None:
        """Let everything pass again, over new connections."""
        self._reset_all()
        self._how = ""
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        self._closing = True
        self._stop_listening()
        self._reset_all()

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _stop_listening(self):
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self._how == "kill":
                _reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _reset(client)
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.add((client, server))
            for source, sink, back in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, back), daemon=True).start()

    def _pump(self, source, sink, back):
        """Forward bytes; `back` is the way of the answers."""
        try:
            while data := source.recv(1 << 16):
                while self._how == "hang" and not self._closing:
                    time.sleep(0.005)
                if back and self._how == "garbage":
                    data = random.Random(0).randbytes(len(data))
                if back and self._how == "half answer":
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _reset_all(self):
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for each in pair:
                _reset(each)


def _reset(connection):
    """Close a connection with a reset instead of an end, and wake the thread that reads from it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

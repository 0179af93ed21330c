"""The server: one event loop for HTTP and gRPC, from the opened sockets to the graceful stop."""

import asyncio
import contextlib
import math
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from eenas.deployment.serving.connections import connection_class
from eenas.deployment.serving.http_app import http_app
from eenas.deployment.serving.reloading import watch_manifests
from eenas.deployment.serving.service import Service
from eenas.errors import ExportError, InputError, MachineError, plural
from eenas.progress import Event, Listener, Notice, silent

TOKEN_VARIABLE = "EENAS_SERVE_TOKEN"
"""The environment variable with the token, if no file is given."""
_SHORTEST_TOKEN = 8
_LAST_ANSWERS = 1.0  # seconds to send the refusals of what is left at the limit
_LAST_SEGMENT = 0.2  # seconds at least for a segment that runs when all requests have ended


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens. Port 0 selects a free one; `grpc_port` None means no gRPC.

    With a `certificate` and its `key` (PEM files), both protocols use TLS. A `token` is asked for in every request
    except those for the health of the server. It is in no message.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        """Check that certificate and key fit. Raises InputError."""
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS needs a certificate and its key; give --certificate and --key")
        if self.certificate is not None and self.key is not None:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key, "")
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "damaged"
                raise InputError(
                    f"{self.certificate} and {self.key} are not a certificate and its key in PEM, without a password "
                    f"({reason})"
                ) from None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_token(file: Path | None) -> str | None:
    """Return the token in the first line of a file, else in TOKEN_VARIABLE, else None.

    Raises InputError for a file that cannot be read and for a token that is short or not ASCII.
    """
    if file is None:
        text, where = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
        if text is None:
            return None
    else:
        where = str(file)
        try:
            with file.open(encoding="utf-8") as stream:
                text = stream.read(10_000)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise InputError(
                f"--token-file {file}: cannot be read ({reason}); give a text file with the token in one line, or set "
                f"{TOKEN_VARIABLE}"
            ) from None
    token = text.strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"{where}: a token has at least {_SHORTEST_TOKEN} ASCII characters in one line, without spaces"
        )
    return token


class Server:
    """A `service` at an address. The sockets are open, and ports known, once it is created.

    Raises MachineError if a port is in use or the host is unknown, ExportError if a package is missing.
    """

    def __init__(self, service: Service, address: Address, listener: Listener = silent) -> None:
        need_serving()
        self._service, self._address, self._listener = service, address, _unfailing(listener)
        service.listener = self._listener
        self._socket = _open_socket(address.host, address.port)
        self.port: int = self._socket.getsockname()[1]
        self.grpc_port: int | None = None

    async def run(self, stop: asyncio.Event, started: threading.Event | None = None) -> bool:
        """Serve until `stop` is set; then answer what was accepted, refuse what is left at the limit, and return.

        Returns False if a segment still runs then.
        """
        import uvicorn

        address, service, limits = self._address, self._service, self._service.limits
        config = uvicorn.Config(
            http_app(service, address.token),
            http=connection_class(limits, service.metrics),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the address of a client is that of its connection
            server_header=False,
            timeout_graceful_shutdown=math.ceil(limits.stop_s + _LAST_ANSWERS),
            ssl_certfile=address.certificate,
            ssl_keyfile=address.key,
        )
        web = _web_server(config)
        try:
            grpc = self._grpc()
            if grpc is not None:
                await grpc.start()
        except BaseException:
            self._socket.close()
            raise
        watching = asyncio.ensure_future(watch_manifests(service.models.values(), self._listener))
        serving = asyncio.ensure_future(web.serve(sockets=[self._socket]))
        while not web.started and not serving.done():
            await asyncio.sleep(0.005)
        self._announce()
        if started is not None:
            started.set()
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        service.stop()
        deadline = time.monotonic() + limits.stop_s
        dropping = asyncio.get_running_loop().call_later(limits.stop_s, self._drop)
        web.should_exit = True
        for each in (watching, stopped):
            each.cancel()
        await asyncio.gather(serving, *([] if grpc is None else [grpc.stop(limits.stop_s + _LAST_ANSWERS)]))
        dropping.cancel()
        return await asyncio.to_thread(service.close, max(deadline - time.monotonic(), _LAST_SEGMENT))

    def _drop(self) -> None:
        if left := self._service.drop():
            late = plural(left, "request")
            self._listener(Notice(f"{late} not answered within {self._service.limits.stop_s:g} s after the stop"))

    def _grpc(self) -> Any:
        address = self._address
        if address.grpc_port is None:
            return None
        from eenas.deployment.serving.grpc_service import grpc_server

        host = f"[{address.host}]" if ":" in address.host else address.host
        server, self.grpc_port = grpc_server(
            self._service,
            address.token,
            f"{host}:{address.grpc_port}",
            certificate=address.certificate,
            key=address.key,
        )
        return server

    def _announce(self) -> None:
        address, tls = self._address, "s" if self._address.certificate else ""
        host = f"[{address.host}]" if ":" in address.host else address.host
        names = ", ".join(self._service.models)
        grpc = "" if self.grpc_port is None else f" and grpc{tls}://{host}:{self.grpc_port}"
        self._listener(Notice(f"serving {names} on http{tls}://{host}:{self.port}{grpc}"))


def serve(service: Service, address: Address, listener: Listener = silent) -> bool:
    """Serve in this thread until SIGTERM or Ctrl-C, answer what was accepted, and return. Raises as `Server` does.

    Returns False if a segment still runs, in a thread that cannot be stopped.
    """
    server = Server(service, address, listener)

    async def run() -> bool:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def end() -> None:
            if not stop.is_set():
                _unfailing(listener)(Notice("stopping: answers what was accepted"))
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        return await server.run(stop)

    return asyncio.run(run())


@contextmanager
def serving(service: Service, address: Address, listener: Listener = silent) -> Iterator[Server]:
    """Serve in another thread while the block runs; the server knows its ports. Raises as `Server` does."""
    server, started, failed = Server(service, address, listener), threading.Event(), []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        try:
            loop.run_until_complete(server.run(stop, started))
        except BaseException as error:  # handed to the thread that waits
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="eenas-server", daemon=True)
    thread.start()
    started.wait()
    try:
        if failed:
            raise failed[0]
        yield server
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def need_serving() -> None:
    """Raise ExportError that names the extra if a package of the server is not installed."""
    for package in ("starlette", "uvicorn"):
        try:
            __import__(package)
        except ImportError:
            raise ExportError(f"serving needs the package {package}; pip install 'eenas[serve]'") from None


def _open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address. Raises MachineError."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise MachineError(
            f"{host!r:.100} is not an address of this machine ({error.strerror}); give a --host"
        ) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(where)
    except (OSError, OverflowError) as error:
        found.close()
        raise MachineError(f"{host}:{port} cannot be served on ({error}); give another --port") from None
    return found


def _unfailing(listener: Listener) -> Listener:
    """Return a listener that drops what nobody reads, so that a terminal that is gone neither ends nor blocks us."""

    def tell(event: Event) -> None:
        with contextlib.suppress(OSError, ValueError):  # a broken pipe, and a stream that is closed
            listener(event)

    return tell


def _web_server(config: Any) -> Any:
    """Return a server of uvicorn that leaves signals to us."""
    import uvicorn

    class Web(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Web(config)

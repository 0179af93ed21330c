"""The Open Inference Protocol over gRPC, on the same service as HTTP."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from eenas.deployment.serving.grpc_tensors import request_from_message, response_to_message
from eenas.deployment.serving.protocol.messages import METHODS, SERVICE, message_class
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.service import Service
from eenas.errors import ExportError, MachineError, ProtocolError

_LOG = logging.getLogger(__name__)
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_LONGEST_MS = 3_600_000
"""The age at which a connection takes no further requests."""


def need_grpc() -> Any:
    """Return the module grpc. Raises ExportError that names the extra if it is not installed."""
    try:
        import grpc
        import grpc.aio
    except ImportError:
        raise ExportError("gRPC needs the package grpcio; pip install 'eenas[grpc]', or give --no-grpc") from None
    return grpc


def grpc_server(
    service: Service, token: str | None, address: str, *, certificate: Path | None = None, key: Path | None = None
) -> tuple[Any, int]:
    """Return a server of `grpc.aio` that is bound to an address but not started, and its port.

    Raises MachineError if the address is not available.
    """
    grpc, limits = need_grpc(), service.limits
    options = [
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", int(1000 * limits.receive_s)),  # a client that reads nothing does not answer these
        ("grpc.keepalive_timeout_ms", int(1000 * limits.receive_s)),
        ("grpc.max_connection_age_ms", _LONGEST_MS),  # one that takes no answers does; others connect again unseen
        ("grpc.max_connection_age_grace_ms", int(1000 * (limits.deadline_s + limits.receive_s))),
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=limits.connections)
    server.add_generic_rpc_handlers((_handlers(grpc, _Methods(service, token, grpc)),))
    try:
        if certificate is None or key is None:
            port = server.add_insecure_port(address)
        else:
            pair = (key.read_bytes(), certificate.read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except RuntimeError:
        port = 0
    if port == 0:
        raise MachineError(f"{address}: cannot be served on for gRPC, perhaps in use; give another --grpc-port")
    return server, port


def _handlers(grpc: Any, methods: "_Methods") -> Any:
    each = {
        name: grpc.stream_unary_rpc_method_handler(  # the same on the wire; but only what the limits let pass is read
            methods.guarded(getattr(methods, name)),
            request_deserializer=None,
            response_serializer=message_class(f"{name}Response").SerializeToString,
        )
        for name in METHODS
    }
    return grpc.method_handlers_generic_handler(SERVICE, each)


class _Methods:
    """The methods of the protocol, called as it calls them."""

    def __init__(self, service: Service, token: str | None, grpc: Any) -> None:
        self._service, self._grpc = service, grpc
        self._token = None if token is None else f"Bearer {token}".encode()
        self._places = asyncio.Semaphore(service.limits.receiving)

    def guarded(self, method: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """Return a method that turns every refusal into a status of gRPC, after a check of the token.

        It reads the message itself, within the limits on memory and time. ModelInfer takes its bytes; the other methods
        take the message.
        """

        async def run(messages: Any, context: Any) -> Any:
            try:
                if method.__name__ not in ("ServerLive", "ServerReady"):
                    self._check_token(context)
                inference = method.__name__ == "ModelInfer"
                if inference:
                    self._service.admit(_host(context.peer()))
                async with self._received(context) as data:
                    return await method(data if inference else _parsed(method.__name__, data), context)
            except Refusal as error:
                refusal = error
            except ProtocolError as error:
                refusal = Refusal("malformed", str(error))
            except Exception:
                _LOG.exception("a request failed")
                refusal = Refusal("failed", "the request failed in the server; its log has the reason")
            self._service.metrics.refused(refusal.reason)
            if refusal.retry_after is not None:
                context.set_trailing_metadata((("retry-after", str(refusal.retry_after)),))
            return await context.abort(getattr(self._grpc.StatusCode, _CODES[refusal.status]), str(refusal))

        return run

    async def ServerLive(self, message: Any, context: Any) -> Any:
        return message_class("ServerLiveResponse")(live=True)

    async def ServerReady(self, message: Any, context: Any) -> Any:
        return message_class("ServerReadyResponse")(ready=not self._service.stopping)

    async def ModelReady(self, message: Any, context: Any) -> Any:
        self._service.model(message.name, message.version)
        return message_class("ModelReadyResponse")(ready=not self._service.stopping)

    async def ServerMetadata(self, message: Any, context: Any) -> Any:
        return message_class("ServerMetadataResponse")(**self._service.metadata)

    async def ModelMetadata(self, message: Any, context: Any) -> Any:
        facts = self._service.model(message.name, message.version).metadata
        return message_class("ModelMetadataResponse")(  # the protocol's message has no parameters
            **{name: value for name, value in facts.items() if name != "parameters"}
        )

    async def ModelInfer(self, data: bytes, context: Any) -> Any:
        arrived = time.monotonic()
        message = await asyncio.to_thread(_parsed, "ModelInfer", data)
        model = self._service.model(message.model_name, message.model_version)
        request = await asyncio.to_thread(request_from_message, message)
        found = await self._service.infer(model, request, protocol="grpc", arrived=arrived)
        return response_to_message(found)

    @asynccontextmanager
    async def _received(self, context: Any) -> AsyncIterator[bytes]:
        """Yield the bytes of a message. Its memory counts until the block ends, and as the largest until it is known.

        Raises Refusal for a message that is too slow.
        """
        service, limits = self._service, self._service.limits
        held = 0
        try:
            try:
                async with asyncio.timeout(limits.receive_s), self._places:
                    service.hold(limits.body_bytes)
                    held = limits.body_bytes
                    data = await context.read()
                    more = 0 if data is self._grpc.aio.EOF else len(data)
                    service.release(held - more)
                    held = more
            except TimeoutError:
                text = f"the message was not received within {limits.receive_s:g} s; send it at once"
                raise Refusal("slow_body", text) from None
            if data is self._grpc.aio.EOF:
                raise ProtocolError("the request has no message")
            yield data
        finally:
            service.release(held)

    def _check_token(self, context: Any) -> None:
        if self._token is None:
            return
        given = dict(context.invocation_metadata()).get("authorization", "")
        if not hmac.compare_digest(given.encode() if isinstance(given, str) else given, self._token):
            raise Refusal("unauthorized", "this server needs its token; send the metadata authorization: Bearer TOKEN")


def _parsed(method: str, data: bytes) -> Any:
    """Return the message of a request to a method. Raises ProtocolError if the bytes are none."""
    from google.protobuf.message import DecodeError

    try:
        return message_class(f"{method}Request").FromString(data)
    except DecodeError:
        raise ProtocolError(f"the {len(data):,} bytes are no {method}Request of the protocol") from None


def _host(peer: str) -> str:
    """Return the address in "ipv4:ADDRESS:PORT" or "ipv6:[ADDRESS]:PORT" as HTTP names it."""
    return unquote(peer).rpartition(":")[0].partition(":")[2].strip("[]")

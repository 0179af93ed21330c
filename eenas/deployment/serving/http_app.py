"""The Open Inference Protocol over HTTP, as an application of starlette."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from eenas.deployment.serving.metrics import CONTENT_TYPE
from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.reloading import reload_model
from eenas.deployment.serving.request_body import read_body
from eenas.deployment.serving.served_model import ServedModel
from eenas.deployment.serving.service import Service
from eenas.errors import ProtocolError
from eenas.programs.remote.content_encoding import compressed_body
from eenas.programs.remote.open_inference import (
    HEADER_LENGTH,
    InferenceBody,
    InferenceRequest,
    InferenceResponse,
    decode_inference_request,
    encode_inference_response,
    encode_protocol_error,
    parse_header_length,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_LOG = logging.getLogger(__name__)
_COMPRESSED = 1000
"""The least number of bytes of a response that is compressed for a client that accepts it."""
_SMALL, _SMALL_TEXT = 1_000_000, 65_536
"""The most bytes of a body and of its JSON text that are read at once; others would hold up the event loop."""

Handler = Callable[["Request"], Awaitable["Response"]]


def http_app(service: Service, token: str | None) -> "Starlette":
    """Return the application of a service. With a `token`, everything but the health of the server asks for it."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    pages = _Pages(service, token)
    model = "/v2/models/{model}"
    versioned = model + "/versions/{version}"
    routes: list[tuple[str, str, Handler, bool]] = [
        ("GET", "/v2", pages.server, True),
        ("GET", "/v2/health/live", pages.live, False),
        ("GET", "/v2/health/ready", pages.ready, False),
        ("GET", model, pages.model, True),
        ("GET", versioned, pages.model, True),
        ("GET", f"{model}/ready", pages.model_ready, True),
        ("GET", f"{versioned}/ready", pages.model_ready, True),
        ("POST", f"{model}/infer", pages.infer, True),
        ("POST", f"{versioned}/infer", pages.infer, True),
        ("POST", "/v2/repository/index", pages.index, True),
        ("POST", "/v2/repository/models/{model}/load", pages.load, True),
        ("GET", "/metrics", pages.metrics, True),
    ]
    return Starlette(
        routes=[
            Route(path, pages.guarded(handler, asks=asks), methods=[method]) for method, path, handler, asks in routes
        ],
        exception_handlers={404: pages.unknown, 405: pages.unknown},
    )


class _Pages:
    """The handlers of all paths."""

    def __init__(self, service: Service, token: str | None) -> None:
        from starlette.responses import Response

        self._service, self._token = service, None if token is None else f"Bearer {token}".encode()
        self._response = Response

    def guarded(self, handler: Handler, *, asks: bool) -> Handler:
        """Return a handler that turns every refusal into a response of the protocol, after a check of the token."""

        async def run(request: "Request") -> "Response":
            try:
                if asks:
                    self._check_token(request)
                return await handler(request)
            except Refusal as refusal:
                return self._refused(refusal)
            except ProtocolError as error:
                return self._refused(Refusal("malformed", str(error)))
            except Exception:
                _LOG.exception("a request failed")
                return self._refused(Refusal("failed", "the request failed in the server; its log has the reason"))

        return run

    async def unknown(self, request: "Request", error: Exception) -> "Response":
        """Answer a request for a path or a method that the server does not have."""
        text = f"there is no {request.method} {request.url.path[:200]!r}; see the Open Inference Protocol, version 2"
        return self._refused(Refusal("not_found", text))

    async def live(self, request: "Request") -> "Response":
        """Say that the process works."""
        return self._json({"live": True})

    async def ready(self, request: "Request") -> "Response":
        """Say whether requests are answered."""
        self._check_ready()
        return self._json({"ready": True})

    async def server(self, request: "Request") -> "Response":
        """Return the metadata of the server."""
        return self._json(self._service.metadata)

    async def model(self, request: "Request") -> "Response":
        """Return the metadata of a model."""
        return self._json(self._model(request).metadata)

    async def model_ready(self, request: "Request") -> "Response":
        """Say whether a model answers requests."""
        found = self._model(request)
        self._check_ready()
        return self._json({"name": found.name, "ready": True})

    async def index(self, request: "Request") -> "Response":
        """Return the list of all models."""
        return self._json(self._service.index)

    async def load(self, request: "Request") -> "Response":
        """Take the policy of a model on disk."""
        if self._token is None:
            text = "models are loaded again by request only if the server has a token; start it with --token-file"
            raise Refusal("forbidden", text)
        await reload_model(self._model(request), self._service.listener)
        return self._json({})

    async def metrics(self, request: "Request") -> "Response":
        """Return the metrics in the format of Prometheus."""
        return self._response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    async def infer(self, request: "Request") -> "Response":
        """Answer an inference request. A client that goes away frees its place."""
        self._service.admit(request.client.host if request.client else "")
        model = self._model(request)
        async with read_body(request, self._service) as data:
            arrived = time.monotonic()
            length = parse_header_length(request.headers.get(HEADER_LENGTH))
            if len(data) <= _SMALL and (len(data) if length is None else length) <= _SMALL_TEXT:
                wanted = decode_inference_request(data, length)
            else:
                wanted = await asyncio.to_thread(decode_inference_request, data, length)
            answer = asyncio.ensure_future(self._service.infer(model, wanted, protocol="http", arrived=arrived))
            gone = asyncio.ensure_future(_until_gone(request))
            try:
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():  # nobody reads the response
                    return self._response(status_code=499)
                found = await answer
            finally:
                gone.cancel()
                answer.cancel()
        if sum(each.nbytes for each in found.outputs.values()) <= _SMALL_TEXT:
            return self._inference(found, wanted, request)
        return await asyncio.to_thread(self._inference, found, wanted, request)

    def _inference(self, found: InferenceResponse, wanted: InferenceRequest, request: "Request") -> "Response":
        names = frozenset(found.outputs)
        binary = wanted.binary_outputs if wanted.outputs else names if wanted.all_binary else frozenset()
        body: InferenceBody = encode_inference_response(found, binary)
        headers, data = dict(body.headers), body.data
        encoding = _accepted(request.headers.get("accept-encoding", ""))
        if encoding and len(data) >= _COMPRESSED:
            data = compressed_body(data, encoding)
            headers["Content-Encoding"] = encoding
        return self._response(data, headers=headers)

    def _model(self, request: "Request") -> ServedModel:
        return self._service.model(request.path_params["model"], request.path_params.get("version", ""))

    def _check_token(self, request: "Request") -> None:
        given = request.headers.get("authorization", "")
        if self._token is not None and not hmac.compare_digest(given.encode(), self._token):
            raise Refusal("unauthorized", "this server needs its token; send the header Authorization: Bearer TOKEN")

    def _check_ready(self) -> None:
        if self._service.stopping:
            raise Refusal("stopping", "the server is stopping", retry_after=1)

    def _json(self, value: Any) -> "Response":
        return self._response(json.dumps(value), media_type="application/json")

    def _refused(self, refusal: Refusal) -> "Response":
        self._service.metrics.refused(refusal.reason)
        headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        if refusal.reason == "unauthorized":
            headers["WWW-Authenticate"] = "Bearer"
        if refusal.reason in ("slow_body", "too_large"):
            headers["Connection"] = "close"  # the rest of the body is not read
        return self._response(
            encode_protocol_error(str(refusal)), refusal.status, headers, media_type="application/json"
        )


async def _until_gone(request: "Request") -> None:
    """Wait until the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _accepted(header: str) -> str:
    """Return the encoding for a response to a client that accepts those in the header."""
    pieces = [each.lower().replace(" ", "").partition(";q=") for each in header.split(",")]
    names = {name for name, _, weight in pieces if weight.strip("0.") or not weight}
    return next((name for name in ("gzip", "deflate") if name in names), "")

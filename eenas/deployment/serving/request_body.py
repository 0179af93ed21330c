"""The body of an HTTP request, received within limits on its size, its time and the memory of all bodies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from eenas.deployment.serving.refusal import Refusal
from eenas.deployment.serving.service import Service
from eenas.programs.remote.content_encoding import decompressed_body

if TYPE_CHECKING:
    from starlette.requests import Request


@asynccontextmanager
async def read_body(request: "Request", service: Service) -> AsyncIterator[bytes]:
    """Yield the body of a request without its content encoding. Its memory counts until the block ends.

    Raises Refusal for a body that is too large or too slow, and ProtocolError for damaged compression.
    """
    limits, most = service.limits, service.limits.body_bytes
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > most:
        raise Refusal("too_large", f"a body has at most {most:,} bytes, got {int(stated):,}; send smaller batches")
    held = 0

    def hold(size: int) -> None:
        nonlocal held
        service.hold(size)
        held += size

    try:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(limits.receive_s):
                async for part in request.stream():
                    hold(len(part))
                    if held > most:
                        raise Refusal("too_large", f"a body has at most {most:,} bytes; send smaller batches")
                    parts.append(part)
        except TimeoutError:
            text = f"the body was not received within {limits.receive_s:g} s; send it at once"
            raise Refusal("slow_body", text) from None
        data = b"".join(parts)
        if encoding := request.headers.get("content-encoding", "").strip().lower():
            unpacking = asyncio.ensure_future(asyncio.to_thread(decompressed_body, data, encoding, most, grown=hold))
            try:
                data = await asyncio.shield(unpacking)
            finally:
                await asyncio.wait([unpacking])  # its memory counts until the thread has ended
        yield data
    finally:
        service.release(held)

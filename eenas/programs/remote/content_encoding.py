"""Lossless compression of bodies as HTTP's Content-Encoding names it: deflate, gzip, and zstd and lz4 if installed."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from eenas.errors import EenasError, ProtocolError
from eenas.escaping import shortened

CONTENT_ENCODINGS = ("deflate", "gzip", "zstd", "lz4")
_WINDOWS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
_BLOCKS, _REPEATED_BYTE = 8, 1
"""The number of blocks of a zstd frame that are unpacked at once, and the type of a block with one byte."""
_UNPACKED = 1 << 20
"""The number of bytes of the other encodings that are unpacked at once."""
_PACKAGES = {"zstd": "zstandard", "lz4": "lz4"}


def compressed_body(data: bytes, encoding: str, *, level: int = 1) -> bytes:
    """Return bytes in a content encoding; "" and "identity" leave them as they are.

    `level` is that of deflate, gzip and zstd. Raises ProtocolError for an unknown encoding, or one whose package is not
    installed.
    """
    if encoding in ("", "identity"):
        return data
    if encoding in _WINDOWS:
        packer = zlib.compressobj(level, zlib.DEFLATED, _WINDOWS[encoding])
        return packer.compress(data) + packer.flush()
    library = _library(encoding)
    if encoding == "zstd":
        return bytes(library.ZstdCompressor(level=level).compress(data))
    return bytes(library.compress(data))


def decompressed_body(data: bytes, encoding: str, most: int, *, grown: Callable[[int], None] | None = None) -> bytes:
    """Return the bytes in a content encoding, at most `most` of them.

    `grown` is told the size of every piece before the next one is unpacked, and may raise an EenasError to end it.
    Raises ProtocolError for damaged or larger data, an unknown encoding, or one whose package is not installed.
    """
    if encoding in ("", "identity"):
        return data
    library = None if encoding in _WINDOWS else _library(encoding)
    parts, total, complete = [], 0, False
    try:
        for part, is_end in _unpacked(library, encoding, data):
            complete = is_end
            parts.append(part)
            total += len(part)
            if total > most:
                break
            if grown is not None:
                grown(len(part))
    except EenasError:
        raise
    except Exception as error:  # each library raises its own kinds
        raise ProtocolError(f"the body is not valid {encoding} ({shortened(str(error))}); send it again") from None
    if total > most:
        raise ProtocolError(f"the {encoding} body unpacks to more than {most:,} bytes; send smaller batches")
    if not complete:
        raise ProtocolError(f"the {encoding} body is cut off or followed by other bytes; send it again")
    return b"".join(parts)


def installed_encodings() -> tuple[str, ...]:
    """Return the content encodings that this machine can read and write."""

    def installed(encoding: str) -> bool:
        try:
            return encoding in _WINDOWS or _library(encoding) is not None
        except ProtocolError:
            return False

    return tuple(filter(installed, CONTENT_ENCODINGS))


def _unpacked(library: Any, encoding: str, data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the pieces of a body, each with whether it is complete with them."""
    if encoding == "zstd":
        frame, end = library.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), 0
        while end < len(data) and not frame.eof:
            start, end = end, _end_of_blocks(library, data, end)
            part = frame.decompress(data[start:end])
            yield part, frame.eof and not frame.unused_data and end >= len(data)
        return
    unpacker: Any = zlib.decompressobj(_WINDOWS[encoding]) if library is None else library.LZ4FrameDecompressor()
    while not unpacker.eof:
        part = unpacker.decompress(data, _UNPACKED)
        data = unpacker.unconsumed_tail if library is None else b""
        yield part, unpacker.eof and not unpacker.unused_data
        if not part and not data:
            return  # cut off


def _end_of_blocks(library: Any, data: bytes, start: int) -> int:
    """Return where the next blocks of a zstd frame (RFC 8878) end. A block unpacks to at most 128 KiB.

    Behind the last one comes what is left of the data. Damaged ones are left to the library.
    """
    end = start or library.frame_header_size(data)
    for _ in range(_BLOCKS):
        header = int.from_bytes(data[end : end + 3], "little")
        end += 4 if header >> 1 & 3 == _REPEATED_BYTE else 3 + (header >> 3)
        if header & 1:
            return max(end, len(data))
    return end


def _library(encoding: str) -> Any:
    if encoding not in _PACKAGES:
        known = ", ".join(CONTENT_ENCODINGS)
        raise ProtocolError(f"the content encoding must be one of {known}, got {shortened(encoding)}")
    try:
        if encoding == "zstd":
            import zstandard

            return zstandard
        import lz4.frame

        return lz4.frame
    except ImportError:
        raise ProtocolError(
            f"the content encoding {encoding} needs the package {_PACKAGES[encoding]}; pip install it "
            "('eenas[compression]' has both), or use deflate"
        ) from None

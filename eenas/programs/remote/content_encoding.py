"""Lossless compression of bodies as HTTP's Content-Encoding names it: deflate, gzip, and zstd and lz4 if installed."""

import zlib
from typing import Any

from eenas.errors import ProtocolError
from eenas.escaping import shortened

CONTENT_ENCODINGS = ("deflate", "gzip", "zstd", "lz4")
_WINDOWS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
_PIECE = 1024
"""The number of bytes of a zstd frame that are unpacked at once; each yields some megabytes at most."""
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


def decompressed_body(data: bytes, encoding: str, most: int) -> bytes:
    """Return the bytes in a content encoding, at most `most` of them.

    Raises ProtocolError for damaged or larger data, an unknown encoding, or one whose package is not installed.
    """
    if encoding in ("", "identity"):
        return data
    library = None if encoding in _WINDOWS else _library(encoding)
    try:
        if library is None:
            unpacker: Any = zlib.decompressobj(_WINDOWS[encoding])
            found = unpacker.decompress(data, most + 1)
            complete = unpacker.eof and not unpacker.unused_data
        elif encoding == "zstd":
            found, complete = _unpacked_zstd(library, data, most)
        else:
            unpacker = library.LZ4FrameDecompressor()
            found = unpacker.decompress(data, most + 1)
            complete = unpacker.eof and not unpacker.unused_data
    except Exception as error:  # each library raises its own kinds
        raise ProtocolError(f"the body is not valid {encoding} ({shortened(str(error))}); send it again") from None
    if len(found) > most:
        raise ProtocolError(f"the {encoding} body unpacks to more than {most:,} bytes; send smaller batches")
    if not complete:
        raise ProtocolError(f"the {encoding} body is cut off or followed by other bytes; send it again")
    return bytes(found)


def installed_encodings() -> tuple[str, ...]:
    """Return the content encodings that this machine can read and write."""

    def installed(encoding: str) -> bool:
        try:
            return encoding in _WINDOWS or _library(encoding) is not None
        except ProtocolError:
            return False

    return tuple(filter(installed, CONTENT_ENCODINGS))


def _unpacked_zstd(library: Any, data: bytes, most: int) -> tuple[bytes, bool]:
    """Return the bytes in a frame, or just more than `most` of them, and whether the frame is complete."""
    unpacker, parts, total = library.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), [], 0
    for start in range(0, len(data), _PIECE):
        if total > most or unpacker.eof:
            break
        parts.append(unpacker.decompress(data[start : start + _PIECE]))
        total += len(parts[-1])
    return b"".join(parts), total > most or (unpacker.eof and not unpacker.unused_data)


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

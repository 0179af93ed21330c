"""Small PNG images for HTML pages."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from eenas.tasks.images.frame import sides_of
from eenas.tasks.images.image_input import resized, size_of
from eenas.tasks.inputs import InputSpec

LARGEST = 64
"""The largest side of the images in pixels."""


def small(inputs: InputSpec) -> InputSpec:
    """Return the spec of the images with sides of at most LARGEST, in the same proportions."""
    height, width = sides_of(size_of(inputs) or LARGEST)
    shrink = min(1.0, LARGEST / max(height, width))
    return resized(inputs, (max(1, round(height * shrink)), max(1, round(width * shrink))))


def png_url(image: NDArray[np.uint8]) -> str:
    """Return an image uint8 [1 or 3, H, W] as a data URL of a PNG."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image uint8 [1 or 3, H, W] as a PNG file (ISO/IEC 15948): grey or true colour, unfiltered."""
    channels, height, width = image.shape
    rows = np.ascontiguousarray(np.moveaxis(image, 0, 2)).reshape(height, width * channels)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )

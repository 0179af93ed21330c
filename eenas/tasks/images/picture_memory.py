"""The peak memory for decoding and flattening an image, estimated from its header."""

from typing import Any

MOST_BYTES = 900_000_000
"""Images that need more are refused."""
_EACH = {
    **dict.fromkeys(("PNG", "BMP", "DIB", "GIF", "JPEG", "MPO", "TGA", "PPM"), 9),
    **{"WEBP": 24, "AVIF": 24, "JPEG2000": 28},
}
"""Measured bytes per pixel of each format: Pillow's image (4), the flattened image (4), and the decoder's buffers."""
_OTHERS = 17  # many are decoded in Python, which holds the decoded data twice besides the image
_TIFF_BITS, _TIFF_SAMPLES, _TIFF_ROWS, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 258, 277, 278, 322, 323


def decoded_bytes(image: Any, whole: tuple[int, int]) -> int:
    """Return the peak memory in bytes for an opened Pillow image, not yet loaded.

    `whole` is the (width, height) before a draft made it smaller.
    """
    count = int(image.width * image.height)
    if image.format == "TIFF":
        return 9 * count + _tiff_part(image)
    total = count * _EACH.get(image.format, _OTHERS)
    if image.format in ("JPEG", "MPO"):  # progressive files are held as coefficients at full size
        total += 2 * len(image.getbands()) * whole[0] * whole[1]
    return total


def _tiff_part(image: Any) -> int:
    """Return the size in bytes of the largest strip or tile of a packed TIFF file, at least that of a rotated copy."""
    tags = image.tag_v2
    bits = max(_number(each, 8) for each in tags.get(_TIFF_BITS, (8,)))
    sample = _number(tags.get(_TIFF_SAMPLES, 1), 1) * -(-bits // 8)
    rows = min(_number(tags.get(_TIFF_ROWS, image.height), image.height), image.height)
    strip = rows * image.width
    tile = _number(tags.get(_TIFF_TILE_WIDTH, 0), 0) * _number(tags.get(_TIFF_TILE_HEIGHT, 0), 0)
    return int(max(4 * image.width * image.height, sample * max(strip, tile)))


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default

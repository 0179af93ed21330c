"""How much memory a picture takes at most while it is decoded and flattened, told by its header."""

from typing import Any

MOST_BYTES = 900_000_000
"""Pictures that would take more are refused."""
_EACH = {
    **dict.fromkeys(("PNG", "BMP", "DIB", "GIF", "JPEG", "MPO", "TGA", "PPM"), 9),
    **{"WEBP": 24, "AVIF": 24, "JPEG2000": 28},
}
"""Bytes for a pixel by format, as measured: Pillow's image (4), the flattened one (4) and the decoder's own."""
_OTHERS = 17  # many are decoded in Python, where what is decoded is held twice beside the image
_TIFF_BITS, _TIFF_SAMPLES, _TIFF_ROWS, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 258, 277, 278, 322, 323


def decoded_bytes(image: Any, whole: tuple[int, int]) -> int:
    """Bytes at the peak for an opened Pillow image, not yet loaded, that was `whole` (width, height) before a draft."""
    count = int(image.width * image.height)
    if image.format == "TIFF":
        return 9 * count + _tiff_part(image)
    total = count * _EACH.get(image.format, _OTHERS)
    if image.format in ("JPEG", "MPO"):  # progressive files are held as coefficients, at the whole size
        total += 2 * len(image.getbands()) * whole[0] * whole[1]
    return total


def _tiff_part(image: Any) -> int:
    """What is decoded of a packed TIFF file at once, or the second image while it is turned: the larger."""
    tags = image.tag_v2
    bits = max(_number(each, 8) for each in tags.get(_TIFF_BITS, (8,)))
    sample = _number(tags.get(_TIFF_SAMPLES, 1), 1) * -(-bits // 8)
    rows = min(_number(tags.get(_TIFF_ROWS, image.height), image.height), image.height)
    strip = rows * image.width
    tile = _number(tags.get(_TIFF_TILE_WIDTH, 0), 0) * _number(tags.get(_TIFF_TILE_HEIGHT, 0), 0)
    return int(max(4 * image.width * image.height, sample * max(strip, tile)))


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default

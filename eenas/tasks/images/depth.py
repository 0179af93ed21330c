"""The bit depth of an image file: whether it has more than 8 bits a channel, and whether Pillow returns all of them."""

from typing import Any

from eenas.errors import PictureError

_PACKED = ("BGR;16",)  # 16 bits for a whole pixel
_BITS_PER_SAMPLE = 258  # the TIFF tag
_PLANES = 284  # another
_SIZ = b"\xff\x4f\xff\x51"  # the start of a JPEG 2000 codestream; its components follow 38 bytes later
_JPEG2000_HEAD = 1 << 16  # bytes that are searched for the start of the codestream


def is_deep(image: Any) -> bool:
    """Whether an opened Pillow image, not yet loaded, has more than 8 bits a channel.

    Loading empties the list of tiles on which this rests. AVIF files are never deep: Pillow scales 10 or 12 bits to 8.
    """
    if image.mode.startswith("I"):
        return True
    if image.format == "TIFF":
        return bool(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8)
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image.fp) > 8
    return any(_is_deep_tile(tile[0], tile[3]) for tile in getattr(image, "tile", ()))


def loses_bits(image: Any) -> bool:
    """Whether Pillow returns only the upper 8 bits of a deep image, as for colour and some grey images."""
    return not image.mode.startswith("I")


def check_mode(image: Any) -> None:
    """Raise PictureError for images without a defined white, and for those that Pillow reads wrongly."""
    if image.mode == "F":
        raise PictureError("an image of floats of unknown range; save it with 8 bits a channel")
    if image.mode == "LAB":
        raise PictureError("an image in CIELAB, which Pillow cannot convert; save it as RGB")
    tile: Any = getattr(image, "tile", ())
    planes = tile and image.format == "TIFF" and image.tag_v2.get(_PLANES, 1) == 2
    if planes and tile[0][0] == "raw" and is_deep(image):  # Pillow reads each byte as a pixel
        raise PictureError("a TIFF of more than 8 bits with a plane for each channel; save it with 8 bits a channel")


def _is_deep_tile(codec: str, arguments: Any) -> bool:
    if codec in ("ppm", "ppm_plain"):  # the largest value, from the header
        return isinstance(arguments, tuple) and int(arguments[-1]) > 255
    raw = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    return codec == "SGI16" or (";16" in raw and raw not in _PACKED)


def _jpeg2000_bits(stream: Any) -> int:
    """Return the bits of the deepest component, or 8 if the file does not tell."""
    at = stream.tell()
    stream.seek(0)
    head = stream.read(_JPEG2000_HEAD)
    stream.seek(at)
    start = head.find(_SIZ)
    if start < 0 or len(head) < start + 42:
        return 8
    count = int.from_bytes(head[start + 40 : start + 42], "big")
    return max(((depth & 0x7F) + 1 for depth in head[start + 42 : start + 42 + 3 * count : 3]), default=8)

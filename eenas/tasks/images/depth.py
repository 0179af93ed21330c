"""How deep a picture file is: whether it has more than 8 bits a channel, and whether Pillow hands out all of them."""

from typing import Any

from eenas.errors import PictureError

_PACKED = ("BGR;16",)  # 16 bits for a whole pixel
_BITS_PER_SAMPLE = 258  # the TIFF tag
_PLANES = 284  # another
_SIZ = b"\xff\x4f\xff\x51"  # how a JPEG 2000 codestream begins; its components stand 38 bytes behind
_JPEG2000_HEAD = 1 << 16  # bytes in which the codestream begins


def is_deep(image: Any) -> bool:
    """Whether an opened Pillow image, not yet loaded, has more than 8 bits a channel.

    Loading empties the list of tiles that tells it. An AVIF file tells nothing: Pillow scales its 10 or 12 bits to 8.
    """
    if image.mode.startswith("I"):
        return True
    if image.format == "TIFF":
        return bool(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8)
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image.fp) > 8
    return any(_is_deep_tile(tile[0], tile[3]) for tile in getattr(image, "tile", ()))


def loses_bits(image: Any) -> bool:
    """Whether Pillow hands out only the upper 8 bits of a deep image: colour, and some grey ones."""
    return not image.mode.startswith("I")


def check_mode(image: Any) -> None:
    """Raise PictureError for values that have no white, and for those that Pillow does not hand out as they are."""
    if image.mode == "F":
        raise PictureError("an image of floats, whose range nobody knows; save it with 8 bits a channel")
    if image.mode == "LAB":
        raise PictureError("an image in CIELAB, which Pillow turns into no colours; save it as RGB")
    tile: Any = getattr(image, "tile", ())
    planes = tile and image.format == "TIFF" and image.tag_v2.get(_PLANES, 1) == 2
    if planes and tile[0][0] == "raw" and is_deep(image):  # it takes both bytes of a value for pixels
        raise PictureError("a TIFF of more than 8 bits with a plane for each channel; save it with 8 bits a channel")


def _is_deep_tile(codec: str, arguments: Any) -> bool:
    if codec in ("ppm", "ppm_plain"):  # the largest value that the file names
        return isinstance(arguments, tuple) and int(arguments[-1]) > 255
    raw = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    return codec == "SGI16" or (";16" in raw and raw not in _PACKED)


def _jpeg2000_bits(stream: Any) -> int:
    """The bits of the deepest component; 8 where the file does not say."""
    at = stream.tell()
    stream.seek(0)
    head = stream.read(_JPEG2000_HEAD)
    stream.seek(at)
    start = head.find(_SIZ)
    if start < 0 or len(head) < start + 42:
        return 8
    count = int.from_bytes(head[start + 40 : start + 42], "big")
    return max(((depth & 0x7F) + 1 for depth in head[start + 42 : start + 42 + 3 * count : 3]), default=8)

"""The EXIF orientation of a picture, and pixels turned by it."""

from typing import Any

_ORIENTATION = 0x0112  # the EXIF tag


def upright(pixels: Any, turned: int) -> Any:
    """`pixels` turned as an EXIF orientation says."""
    from PIL import Image

    turns = Image.Transpose
    turn = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(turned)
    return pixels if turn is None else pixels.transpose(turn)


def orientation(image: Any) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read.

    Nothing is decoded for it, as Pillow would of a PNG file: what stands behind its pixels counts once it is loaded.
    """
    from PIL import Image

    try:
        found = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # damaged metadata say nothing about the pixels
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1

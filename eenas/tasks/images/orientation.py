"""The EXIF orientation of an image, and rotation by it."""

from typing import Any

_ORIENTATION = 0x0112  # the EXIF tag


def upright(pixels: Any, turned: int) -> Any:
    """Return `pixels` rotated and flipped by an EXIF orientation."""
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
    """Return the EXIF orientation, 1 to 8; 1 (upright) if it is missing or unreadable.

    Nothing is decoded, unlike in Pillow's own method for PNG files. EXIF data after the pixels count once the image is
    loaded.
    """
    from PIL import Image

    try:
        found = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # metadata may be damaged while the pixels are whole
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1

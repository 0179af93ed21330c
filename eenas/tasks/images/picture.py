"""One picture made ready for a network: turned upright, put on white, brought to 8 bits and fitted into a frame.

It needs Pillow and NumPy alone, because training and the exported runtime prepare pictures by these very lines.
"""

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eenas.errors import PictureError
from eenas.escaping import one_line
from eenas.tasks.images.depth import check_mode
from eenas.tasks.images.frame import BORDER, Frame
from eenas.tasks.images.orientation import orientation, upright
from eenas.tasks.images.picture_memory import MOST_BYTES, decoded_bytes

MOST_PIXELS = 1 << 26
"""Pictures of more pixels are refused, and those that would take more than MOST_BYTES."""
DRAFT_PIXELS = 1 << 22
"""JPEG files of more pixels are decoded at a half, a quarter or an eighth, never below twice the frame."""
FULL_WHITE = 65535
"""The white of pictures of more than 8 bits where nothing else is known."""
NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF", "FITS", "IPTC", "ICO", "ICNS", "BLP")
"""Formats of Pillow that are not read: known by their heads only, run by another program (EPS), measurements, and
containers whose pictures tell their size only while they are decoded."""
_ALONE_BYTES = 1 << 27  # what takes more is decoded alone, so that threads do not add up their memory
_STRIP = 1 << 20  # pixels flattened at once of a picture of more than four times as many
_WHOLE = "eenas whole size"  # the key in a Pillow image's notes of its size before it was decoded smaller
_ALONE = threading.Lock()


class _Quiet:
    """How many threads are reading pictures, and the filter that keeps Pillow's warnings back meanwhile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.filter: Any = None


_QUIET = _Quiet()


def prepare_picture(source: Any, frame: Frame, channels: int, white: int | None = None) -> NDArray[np.uint8]:
    """A picture as uint8 [channels, height, width] of the frame.

    `source` is a path, the bytes of a file, a Pillow image, or an array uint8 [H, W] or [H, W, C] in the order of
    colours red, green, blue (and opacity); `channels` is 1 (grey), 3 (colour) or the array's own. It is turned as its
    EXIF orientation says, transparent parts become white, more than 8 bits a channel are scaled so that `white`
    becomes 255 (None: 65535), the frame's part of it is resized with an antialiased bilinear filter. Raises
    PictureError, with the path where there is one, for what cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _prepared_array(source, frame, channels)
    with opened(source, frame) as image:
        whole = image.info.get(_WHOLE)
        if whole is not None and orientation(image) >= 5:
            whole = whole[::-1]
        flat = flattened(image, channels, white)
        if image is not source:
            image.im = None  # not held while it is fitted
        return fitted(flat, frame, whole)


@contextmanager
def opened(source: Any, frame: Frame | None = None) -> Iterator[Any]:
    """The Pillow image of a path, of a file's bytes, of an open file or of itself.

    For `frame` it is decoded no larger than that needs, within bounds (`bounded`); without one only the header may
    be used.
    Raises PictureError, also for what goes wrong inside the block: Pillow's decoders raise errors of any kind.
    """
    try:
        from PIL import Image
    except ImportError:
        raise PictureError("reading pictures needs Pillow; pip install pillow") from None
    name = f"{one_line(os.fspath(source))}: " if isinstance(source, str | os.PathLike) else ""
    try:
        if isinstance(source, Image.Image):
            yield source
            return
        with _stream(source) as stream, _no_warnings(), Image.open(stream, formats=read_formats()) as image:
            if frame is None:
                yield image
                return
            with _ALONE if bounded(image, frame) > _ALONE_BYTES else nullcontext():
                yield image
    except PictureError as error:
        raise PictureError(f"{name}{error}") from None
    except MemoryError:  # not the picture's fault
        raise
    except PermissionError:
        raise PictureError(f"{name}may not be read; change its permissions") from None
    except Exception as error:
        raise PictureError(f"{name}a corrupt image ({_why(error)})") from None


def bounded(image: Any, frame: Frame) -> int:
    """Let a large JPEG file, opened and not yet loaded, be decoded smaller, as far as `frame` allows.

    Returns how many bytes it takes at most to decode and flatten it. Nothing is decoded for that. Raises PictureError
    where more than MOST_PIXELS are left, or more than MOST_BYTES needed.
    """
    check_mode(image)
    whole = image.size
    if image.width * image.height > DRAFT_PIXELS and image.draft(None, (2 * frame.width, 2 * frame.height)) is not None:
        image.info[_WHOLE] = whole  # of JPEG only
    if image.width * image.height > MOST_PIXELS:
        raise PictureError(f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}; make it smaller")
    needed = decoded_bytes(image, whole)
    if needed > MOST_BYTES:
        raise PictureError(
            f"{whole[0]:,} x {whole[1]:,} pixels as {image.format} take up to {needed:,} bytes, more than "
            f"{MOST_BYTES:,}; make it smaller, or save it as PNG"
        )
    return needed


def read_formats() -> list[str]:
    """The names of the formats that are read, those of Pillow's plug-ins included."""
    from PIL import Image

    Image.preinit()  # the usual ones are tried first
    Image.init()
    return [kind for kind in Image.ID if kind not in NO_PICTURES]


def flattened(image: Any, channels: int, white: int | None = None) -> Any:
    """An opened image upright, without transparency and as 8-bit grey ("L", for 1 channel) or colour ("RGB")."""
    from PIL import Image

    check_mode(image)
    image.load()  # Pillow itself turns TIFF files while it loads them
    kind, turned = "L" if channels == 1 else "RGB", orientation(image)
    wide, tall = image.size
    if wide * tall <= 4 * _STRIP:
        return upright(_eight_bits(image, kind, white), turned)
    canvas = Image.new(kind, (tall, wide) if turned >= 5 else (wide, tall))
    for top in range(0, tall, rows := max(1, _STRIP // wide)):
        bottom = min(top + rows, tall)
        part = upright(_eight_bits(image.crop((0, top, wide, bottom)), kind, white), turned)
        along = top if turned in (1, 2, 5, 8) else tall - bottom
        canvas.paste(part, (along, 0) if turned >= 5 else (0, along))
    return canvas


def _eight_bits(image: Any, kind: str, white: int | None) -> Any:
    """A loaded image, or a part of one, as "L" or "RGB" on white."""
    from PIL import Image

    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.float32) * (255 / (white or FULL_WHITE))
        image = Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8))
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = _on_white(image)
    elif image.mode == "P":
        image = image.convert("RGBA")  # straight to RGB Pillow warns about some palettes
    return image.convert(kind)


def fitted(image: Any, frame: Frame, whole: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """An image of mode "L" or "RGB" as uint8 [1 or 3, height, width] of the frame.

    `whole` is the (width, height) that it had before it was decoded smaller.
    """
    from PIL import Image

    place = frame.place(*(whole or image.size))
    size = (place.width, place.height)
    if whole is not None and whole != image.size:  # the same part of it, to fractions of a pixel
        scale = max(round(long / short) for long, short in zip(whole, image.size, strict=True))
        ends = (*image.size, *image.size)
        box = tuple(min(side / scale, end) for side, end in zip(place.box, ends, strict=True))
        shown = image.resize(size, Image.Resampling.BILINEAR, box=box)
    else:
        if place.box != (0, 0, *image.size):
            image = image.crop(place.box)
        shown = image.resize(size, Image.Resampling.BILINEAR)
    if size != (frame.width, frame.height):
        canvas = Image.new(shown.mode, (frame.width, frame.height), (BORDER,) * len(shown.getbands()))
        canvas.paste(shown, place.at)
        shown = canvas
    pixels = np.array(shown, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def _prepared_array(pixels: NDArray[Any], frame: Frame, channels: int) -> NDArray[np.uint8]:
    from PIL import Image

    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype != np.uint8 or planes.ndim != 3 or 0 in planes.shape:
        raise PictureError(
            f"a picture is an array uint8 [H, W] or [H, W, C], got {pixels.dtype} {list(pixels.shape)}; "
            "scale its values to 0..255, channels last"
        )
    have = planes.shape[2]
    if channels in (1, 3) and have in (1, 3, 4):
        image = Image.fromarray(np.ascontiguousarray(planes[..., 0] if have == 1 else planes))
        return fitted(flattened(image, channels), frame)
    if have != channels:
        raise PictureError(f"a picture of {have} channels cannot be shown to a network of {channels}")
    each = [Image.fromarray(np.ascontiguousarray(planes[..., k])) for k in range(have)]
    return np.concatenate([fitted(plane, frame) for plane in each])


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode in ("La", "PA"):  # Pillow converts these two by way of others only
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    shown = image.convert("RGBA")
    if shown.getextrema()[3][0] == 255:
        return shown
    return Image.alpha_composite(Image.new("RGBA", shown.size, (255, 255, 255, 255)), shown)


@contextmanager
def _stream(source: Any) -> Iterator[Any]:
    """The open file of a path, never one that could be waited on for ever; or the bytes as a file."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
        return
    if hasattr(source, "read"):
        yield source
        return
    if not isinstance(source, str | os.PathLike):
        raise PictureError(
            f"a picture is a path, bytes, a Pillow image or an array, got {type(source).__name__}; give one of them"
        )
    kind = os.stat(source).st_mode
    if not stat.S_ISREG(kind):
        raise PictureError(f"{'a folder' if stat.S_ISDIR(kind) else 'a pipe, socket or device'}, not a file")
    with Path(source).open("rb") as stream:
        yield stream


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Without Pillow's warnings about sizes, which have limits here, and about metadata, which do not matter.

    `warnings.catch_warnings` would not do: threads would put back each other's filters.
    """
    with _QUIET.lock:
        if _QUIET.inside == 0:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _QUIET.filter = warnings.filters[0]
        _QUIET.inside += 1
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.inside -= 1
            if _QUIET.inside == 0 and _QUIET.filter in warnings.filters:
                cast(list[Any], warnings.filters).remove(_QUIET.filter)


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if "cannot identify" in text:
        return "no image format that is read"
    return one_line(text.splitlines()[0]) if text else type(error).__name__

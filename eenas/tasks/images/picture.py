"""Preparing one image for a network: upright, on white, with 8 bits a channel, and fitted into a frame.

This module needs only Pillow and NumPy. Training and the exported runtime both use it.
"""

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
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
"""Images with more pixels, or that need more than MOST_BYTES of memory, are refused."""
DRAFT_PIXELS = 1 << 22
"""JPEG files with more pixels are decoded at a half, a quarter or an eighth of the size, at least twice the frame."""
FULL_WHITE = 65535
"""The default white of images of more than 8 bits."""
NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF", "FITS", "IPTC", "ICO", "ICNS", "BLP")
"""Formats of Pillow that are not read.

Pillow reads only the header of some and decodes EPS by another program; others hold measurements, or are containers
whose images have an unknown size until they are decoded.
"""
_ALONE_BYTES = 1 << 27  # larger images are decoded one at a time, to limit the memory of all threads
_STRIP = 1 << 20  # pixels flattened at a time; images of up to four times as many are flattened at once
_WHOLE = "eenas whole size"  # the key in `image.info` of the size before a JPEG was decoded smaller
_ALONE = threading.Lock()


class _Quiet:
    """The number of threads that read images, and the filter that suppresses Pillow's warnings meanwhile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.filter: Any = None


_QUIET = _Quiet()


def prepare_picture(source: Any, frame: Frame, channels: int, white: int | None = None) -> NDArray[np.uint8]:
    """Return an image as uint8 [channels, height, width] of the frame.

    `source` is a path, the bytes of a file, a Pillow image, or an array uint8 [H, W] or [H, W, C] with the channels
    red, green, blue (and alpha). `channels` is 1 (grey), 3 (colour) or the number in the array. The image is rotated by
    its EXIF orientation, and transparent parts become white. More than 8 bits a channel are scaled, with `white` as 255
    (None: 65535). The part that the frame shows is resized with an antialiased bilinear filter.

    Raises PictureError, with the path if there is one, for unreadable images.
    """
    if isinstance(source, np.ndarray):
        return _prepared_array(source, frame, channels)
    with opened(source, frame) as image:
        whole = image.info.get(_WHOLE)
        if whole is not None and orientation(image) >= 5:
            whole = whole[::-1]
        flat = flattened(image, channels, white)
        if image is not source:
            image.im = None  # free its memory before fitting
        return fitted(flat, frame, whole)


@contextmanager
def opened(source: Any, frame: Frame | None = None) -> Iterator[Any]:
    """Yield the Pillow image of a path, of the bytes of a file, of an open file or of a Pillow image.

    With `frame`, the image may be decoded, no larger than the frame needs (see `bounded`). Without it, only the header
    may be used.

    Raises PictureError, also for errors inside the block, since Pillow's decoders raise many types of errors.
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
    except MemoryError:  # not a fault of the image
        raise
    except FileNotFoundError:
        raise PictureError(f"{name}no such file; give the path of an image") from None
    except PermissionError:
        raise PictureError(f"{name}permission denied; change its permissions") from None
    except Exception as error:
        raise PictureError(f"{name}a corrupt image ({_why(error)})") from None


def bounded(image: Any, frame: Frame) -> int:
    """Return the largest number of bytes needed to decode and flatten an image that is opened but not loaded.

    Large JPEG files are set to be decoded smaller if `frame` allows it. Nothing is decoded.

    Raises PictureError if the image has more than MOST_PIXELS then, or needs more than MOST_BYTES.
    """
    check_mode(image)
    whole = image.size
    if image.width * image.height > DRAFT_PIXELS and image.draft(None, (2 * frame.width, 2 * frame.height)) is not None:
        image.info[_WHOLE] = whole  # JPEG only
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
    """Return the names of the image formats that are read, including those of Pillow's plug-ins."""
    from PIL import Image

    Image.preinit()  # the usual ones are tried first
    Image.init()
    return [kind for kind in Image.ID if kind not in NO_PICTURES]


@cache
def image_endings() -> tuple[str, ...]:
    """Return the extensions, lower-case with dots, of the files that are read as images."""
    from PIL import Image

    read = read_formats()
    known = Image.registered_extensions().items()
    return tuple(sorted(end for end, kind in known if kind in Image.OPEN and kind in read))


def flattened(image: Any, channels: int, white: int | None = None) -> Any:
    """Return an opened image upright, opaque, and as 8-bit grey ("L", for 1 channel) or colour ("RGB")."""
    from PIL import Image

    check_mode(image)
    image.load()  # Pillow rotates TIFF files on loading
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
    """Return a loaded image, or a part of one, as "L" or "RGB" on white."""
    from PIL import Image

    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.float32) * (255 / (white or FULL_WHITE))
        image = Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8))
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = _on_white(image)
    elif image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns about some palettes when converting to RGB directly
    return image.convert(kind)


def fitted(image: Any, frame: Frame, whole: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return an image of mode "L" or "RGB" as uint8 [1 or 3, height, width] of the frame.

    `whole` is the (width, height) before the image was decoded smaller.
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
            f"an image is an array uint8 [H, W] or [H, W, C], got {pixels.dtype} {list(pixels.shape)}; "
            "scale its values to 0..255, channels last"
        )
    have = planes.shape[2]
    if channels in (1, 3) and have in (1, 3, 4):
        image = Image.fromarray(np.ascontiguousarray(planes[..., 0] if have == 1 else planes))
        return fitted(flattened(image, channels), frame)
    if have != channels:
        raise PictureError(f"the network takes images of {channels} channels, got one of {have}; convert it")
    each = [Image.fromarray(np.ascontiguousarray(planes[..., k])) for k in range(have)]
    return np.concatenate([fitted(plane, frame) for plane in each])


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode in ("La", "PA"):  # Pillow does not convert these two to RGBA directly
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    shown = image.convert("RGBA")
    if shown.getextrema()[3][0] == 255:
        return shown
    return Image.alpha_composite(Image.new("RGBA", shown.size, (255, 255, 255, 255)), shown)


@contextmanager
def _stream(source: Any) -> Iterator[Any]:
    """Yield a binary stream of a path, bytes or an open file. Special files, which could block, are refused."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
        return
    if hasattr(source, "read"):
        yield source
        return
    if not isinstance(source, str | os.PathLike):
        raise PictureError(
            f"an image is a path, bytes, a Pillow image or an array, got {type(source).__name__}; give one of them"
        )
    kind = os.stat(source).st_mode
    if not stat.S_ISREG(kind):
        raise PictureError(f"{'a folder' if stat.S_ISDIR(kind) else 'a pipe, socket or device'}, not a file")
    with Path(source).open("rb") as stream:
        yield stream


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings about sizes, which are limited here, and about metadata, which do not matter.

    `warnings.catch_warnings` is not thread-safe.
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
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if "cannot identify" in text:
        return "unknown image format"
    return one_line(text.splitlines()[0]) if text else type(error).__name__

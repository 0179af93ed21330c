"""Image files: their headers checked when they are found, their pixels decoded when they are asked for."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from eenas.errors import TaskError
from eenas.tasks.pixels import Pixels

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_END_BYTES = 32 << 10  # a file is known by its length and this many bytes of either end
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_GREY = ("1", "L", "LA", "La", *_DEEP_GREY)
_AT_ONCE = 4096  # files handed to the threads at a time

T = TypeVar("T")
R = TypeVar("R")


@final
class FilePixels(Pixels):
    """Images in files, decoded by a few threads. `channels` is 1 where every image is grey, else 3."""

    def __init__(self, root: Path, files: Sequence[Path], size: int | None = None) -> None:
        """`files` lie below `root`; their paths from there and their content make the digest.

        Raises TaskError naming the first file whose header is not that of an image, and how many are like it.
        """
        self._files = tuple(files)
        state = hashlib.sha256()
        broken: list[str] = []
        is_grey = True
        for file, header in zip(self._files, _in_threads(_read_header, self._files), strict=True):
            if isinstance(header, str):
                broken.append(header)
                continue
            is_grey = is_grey and header[0]
            state.update(os.fsencode(file.relative_to(root).as_posix()) + b"\0" + header[1])
        if broken:
            more = f" ({len(broken) - 1} more files are like it)" if len(broken) > 1 else ""
            raise TaskError(f"{broken[0]}{more}")
        super().__init__(size, 1 if is_grey else 3, state.hexdigest()[:16])

    def __len__(self) -> int:
        return len(self._files)

    def read(self, rows: NDArray[np.int64], size: int, channels: int) -> Tensor:
        """Decode, cut out the largest centred square, resize with Pillow's bilinear filter."""
        images = torch.empty((len(rows), channels, size, size), dtype=torch.uint8)
        files = [self._files[row] for row in rows]
        for image, pixels in zip(images, _in_threads(lambda file: _decode(file, size, channels), files), strict=True):
            image.copy_(torch.from_numpy(pixels))
        return images


def _in_threads(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """`map` by a few threads, in order; files and decoders wait outside Python's lock."""
    workers = min(8, os.cpu_count() or 1, len(items))
    if workers < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield from pool.map(work, items[start : start + _AT_ONCE])


def _read_header(file: Path) -> tuple[bool, bytes] | str:
    """Whether the image is grey, and a hash of the file's length and both ends; or what is wrong with it."""
    try:
        with file.open("rb") as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            state = hashlib.sha256(length.to_bytes(8, "big") + stream.read(_END_BYTES))
            stream.seek(max(_END_BYTES, length - _END_BYTES))
            state.update(stream.read(_END_BYTES))
            stream.seek(0)
            with Image.open(stream) as image:
                if image.mode == "F":
                    return f"{file}: an image of floats, whose range nobody knows; save it with 8 bits a channel"
                return image.mode in _GREY, state.digest()
    except Exception as error:  # Pillow's decoders raise errors of any kind on broken files
        return _unreadable(file, error)


def _decode(file: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """One image as uint8 [channels, size, size]."""
    try:
        with Image.open(file) as opened:
            opened.draft(None, (2 * size, 2 * size))  # JPEG only: decode at 1/2, 1/4 or 1/8, never below twice the size
            image = _with_channels(opened, channels)
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.crop((left, top, left + side, top + side))
            pixels = np.array(square.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
    except Exception as error:  # see _read_header
        raise TaskError(_unreadable(file, error)) from None
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    """The image as 8-bit grey or RGB; transparency is dropped, the upper 8 of 16 bits are kept."""
    if image.mode in _DEEP_GREY:
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA")  # straight to RGB Pillow warns about some palettes
    return image.convert("L" if channels == 1 else "RGB")


def _unreadable(file: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{file}: may not be read; change its permissions"
    reason = (
        "no image format that Pillow knows" if "cannot identify" in str(error) else str(error) or type(error).__name__
    )
    return f"{file}: a corrupt image ({reason}); replace or remove it"

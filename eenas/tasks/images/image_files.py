"""Image files: headers are read when the files are listed, pixels are decoded on request."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import PictureError, TaskError
from eenas.escaping import one_line
from eenas.files import is_hidden
from eenas.tasks.images.depth import is_deep, loses_bits
from eenas.tasks.images.frame import Fit, Frame, Size
from eenas.tasks.images.orientation import orientation
from eenas.tasks.images.picture import bounded, image_endings, opened, prepare_picture
from eenas.tasks.images.pixels import Pixels

_END_BYTES = 32 << 10  # the digest covers the length of a file and this many bytes of either end
_MAX_CHUNKS = 1 << 16  # of a PNG file that are searched for EXIF data
_MAX_EXIF = 1 << 16  # bytes
_GREY = ("1", "L", "LA", "La")
SMALLEST = Frame(64, 64)
"""The frame for which large JPEG files are decoded when they are only checked for faults."""
_CHUNK = 4096  # files given to the threads at a time

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Header:
    """The facts in the header of an image file. `width` and `height` are those of the upright image.

    `deep` tells that it has more than 8 bits a channel, `clipped` that Pillow returns only the upper 8 of them.
    `digest` covers the length and both ends of the file.
    """

    width: int
    height: int
    grey: bool
    deep: bool
    clipped: bool
    digest: bytes


def is_image(name: str) -> bool:
    """Whether the name is that of an image file: with an extension that Pillow reads, and not hidden."""
    return not is_hidden(name) and os.path.splitext(name)[1].lower() in image_endings()


@final
class FilePixels(Pixels):
    """Images in files, decoded by a few threads. `channels` is 1 if every image is grey, else 3."""

    def __init__(
        self,
        root: Path,
        files: Sequence[Path],
        headers: Sequence[Header],
        size: Size | None = None,
        fit: Fit = "crop",
        white: int | None = None,
        shown_from: Path | None = None,
    ) -> None:
        """`files` lie below `root`. Their paths relative to it and their headers make the digest.

        `names` are relative to `shown_from` (default: `root`).
        """
        self.root = root
        self._shown_from = shown_from or root
        self._files = tuple(files)
        self._names = tuple(name_below(root, file) for file in files)
        self._headers = tuple(headers)
        self.white = white
        state = hashlib.sha256()
        for name, header in zip(self._names, self._headers, strict=True):
            state.update(name.encode("utf-8", "surrogateescape") + b"\0" + header.digest)
        is_grey = all(header.grey for header in self._headers)
        super().__init__(size, 1 if is_grey else 3, state.hexdigest()[:16], fit)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """The image files, in order."""
        return self._files

    @property
    def headers(self) -> tuple[Header, ...]:
        """The headers of the files."""
        return self._headers

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(width, height) of each image, [n, 2]."""
        return np.array([(each.width, each.height) for each in self._headers], dtype=np.int64).reshape(-1, 2)

    @property
    def names(self) -> Sequence[str]:
        """The paths relative to the folder of the task."""
        return [one_line(name_below(self._shown_from, file)) for file in self._files]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each file, [n]."""
        return np.frombuffer(b"".join(each.digest[:8] for each in self._headers), dtype="<u8").astype(np.uint64)

    def read(self, rows: NDArray[np.int64], frame: Frame, channels: int) -> Tensor:
        """Return the decoded and prepared images (see `prepare_picture`).

        Raises TaskError if an image cannot be decoded.
        """
        images = torch.empty((len(rows), channels, frame.height, frame.width), dtype=torch.uint8)
        files = [self._files[row] for row in rows]

        def decoded(file: Path) -> NDArray[np.uint8]:
            try:
                return prepare_picture(file, frame, channels, self.white)
            except PictureError as error:
                raise TaskError(f"{error}; replace or remove it") from None

        for image, pixels in zip(images, in_threads(decoded, files), strict=True):
            image.copy_(torch.from_numpy(pixels))
        return images


def name_below(root: Path, file: Path) -> str:
    """Return the path of a file relative to `root`, in Unicode NFC on every file system."""
    return unicodedata.normalize("NFC", file.relative_to(root).as_posix())


def read_headers(files: Sequence[Path]) -> list[Header | str]:
    """Return the header of each file, or the fault of an unreadable or oversized one. Nothing is decoded."""
    return list(in_threads(_read_header, files))


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Apply `work` to all items in a few threads, and yield the results in order. Decoders release Python's lock."""
    workers = min(8, os.cpu_count() or 1, len(items))
    if workers < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), _CHUNK):
            yield from pool.map(work, items[start : start + _CHUNK])


def _read_header(file: Path) -> Header | str:
    try:
        if not file.is_file():  # reading a pipe could block
            with opened(file):
                pass
        with file.open("rb") as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            state = hashlib.sha256(length.to_bytes(8, "big") + stream.read(_END_BYTES))
            stream.seek(max(_END_BYTES, length - _END_BYTES))
            state.update(stream.read(_END_BYTES))
            stream.seek(0)
            with opened(stream) as image:
                deep = is_deep(image)
                clipped = deep and loses_bits(image)
                if image.format == "PNG" and (late := _late_exif(stream)) is not None:
                    image.info.setdefault("exif", b"Exif\0\0" + late)
                turned = orientation(image) >= 5 and image.format != "TIFF"  # Pillow gives the rotated size of TIFF
                width, height = image.size[::-1] if turned else image.size
                grey = image.mode in _GREY or image.mode.startswith("I")
                bounded(image, SMALLEST)
                return Header(width, height, grey, deep, clipped, state.digest())
    except PermissionError:
        return f"{one_line(str(file))}: permission denied; change its permissions"
    except PictureError as error:
        text = str(error)
        return text if text.startswith(one_line(str(file))) else f"{one_line(str(file))}: {text}"
    except OSError as error:
        return f"{one_line(str(file))}: cannot be read ({error.strerror or error})"


def _late_exif(stream: BinaryIO) -> bytes | None:
    """Return the EXIF data of a PNG file, also if they follow the pixels, which are skipped without decoding."""
    stream.seek(len(b"\x89PNG\r\n\x1a\n"))
    for _ in range(_MAX_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return None
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return stream.read(min(length, _MAX_EXIF))
        stream.seek(length + 4, os.SEEK_CUR)  # and the checksum
    return None

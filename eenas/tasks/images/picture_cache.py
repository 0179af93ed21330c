"""A cache of the image files that were decoded without fault, so no file is checked twice.

The cache is in `EENAS_CACHE`, by default `~/.cache/eenas` (or `XDG_CACHE_HOME/eenas`). It may be deleted at any time.
If its folder is not writable, only time is lost.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eenas.errors import StorageError
from eenas.files import write_atomically

GOOD = -1
"""The value of an image of 8 bits; deeper images have their largest value."""
_MAX_ENTRIES = 1 << 24  # of one folder, 256 MB


class PictureCache:
    """The known files of one folder: a number for each 64-bit key, which identifies the content of a file."""

    def __init__(self, root: Path) -> None:
        place = os.environ.get("EENAS_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "eenas"
        )
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self._file = Path(place) / f"pictures-{name}.npy"
        self._known = _read(self._file)

    def look_up(self, keys: Sequence[int]) -> list[int | None]:
        """Return the number of each key, or None if it is unknown."""
        return [self._known.get(key) for key in keys]

    def keep(self, keys: Sequence[int], values: Sequence[int]) -> None:
        """Store a number for each key. Entries that other processes stored meanwhile are kept."""
        self._known = {**_read(self._file), **self._known, **dict(zip(keys, values, strict=True))}
        table = np.array([(key, value) for key, value in self._known.items()], dtype=_ROW)
        with suppress(StorageError):
            write_atomically(self._file, lambda path: _write(path, table[-_MAX_ENTRIES:]))


_ROW = np.dtype([("key", "<u8"), ("value", "<i8")])


def _write(path: Path, table: NDArray[np.void]) -> None:
    with path.open("wb") as stream:
        np.save(stream, table)


def _read(file: Path) -> dict[int, int]:
    try:
        if file.stat().st_size > _MAX_ENTRIES * _ROW.itemsize + 4096:
            return {}
        with file.open("rb") as stream:
            table = npy.read_array(stream, allow_pickle=False)
        if table.dtype != _ROW or table.ndim != 1:
            return {}
        return dict(zip(table["key"].tolist(), table["value"].tolist(), strict=True))
    except Exception:  # NumPy raises many types of errors for a damaged file, MemoryError among them
        return {}

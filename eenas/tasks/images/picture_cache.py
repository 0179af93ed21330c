"""Which picture files were decoded without fault, kept between sessions so that no file is decoded twice for that.

The file is in `EENAS_CACHE`, by default `~/.cache/eenas` (or `XDG_CACHE_HOME/eenas`). It holds nothing that could not
be found again, so that it may be deleted, and a folder that cannot be written costs time only.
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
"""What is kept of a picture of 8 bits; of a deeper one its largest value."""
_MOST = 1 << 24  # entries of one folder that are read at most, 128 MB


class PictureCache:
    """What is known of the files of one folder: a number for each key, of 64 bits, that names a file's content."""

    def __init__(self, root: Path) -> None:
        place = os.environ.get("EENAS_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "eenas"
        )
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self._file = Path(place) / f"pictures-{name}.npy"
        self._known = _read(self._file)

    def look_up(self, keys: Sequence[int]) -> list[int | None]:
        """What is kept for each key, None for nothing."""
        return [self._known.get(key) for key in keys]

    def keep(self, keys: Sequence[int], values: Sequence[int]) -> None:
        """Keep a number for each key; what other processes kept meanwhile stays."""
        self._known = {**_read(self._file), **self._known, **dict(zip(keys, values, strict=True))}
        table = np.array([(key, value) for key, value in self._known.items()], dtype=_ROW)
        with suppress(StorageError):
            write_atomically(self._file, lambda path: _write(path, table[-_MOST:]))


_ROW = np.dtype([("key", "<u8"), ("value", "<i8")])


def _write(path: Path, table: NDArray[np.void]) -> None:
    with path.open("wb") as stream:
        np.save(stream, table)


def _read(file: Path) -> dict[int, int]:
    try:
        if file.stat().st_size > _MOST * _ROW.itemsize + 4096:
            return {}
        with file.open("rb") as stream:
            table = npy.read_array(stream, allow_pickle=False)
        if table.dtype != _ROW or table.ndim != 1:
            return {}
        return dict(zip(table["key"].tolist(), table["value"].tolist(), strict=True))
    except Exception:  # of a damaged file NumPy raises a dozen kinds, lack of memory among them
        return {}

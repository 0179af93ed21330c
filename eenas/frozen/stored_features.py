"""The features of one cut point on disk: of one shape, or of batches with different lengths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Batch = tuple[int, ...]
"""The number of samples of a batch and the shape of each, [n, ...]."""


class StoredFeatures:
    """The features in a file, memory-mapped: `batches` of n samples of one shape each, one after another.

    They are float32 in a file that ends in `.f32`, and float16 in others.
    """

    def __init__(self, file: Path, batches: Sequence[Batch]) -> None:
        """Raises OSError or ValueError for a file of another size."""
        counts = np.array([batch[0] for batch in batches], dtype=np.int64)
        self._shapes = [tuple(batch[1:]) for batch in batches]
        sizes = np.array([int(np.prod(shape)) for shape in self._shapes], dtype=np.int64)
        self._rows = np.concatenate([[0], np.cumsum(counts)])
        self._starts = np.concatenate([[0], np.cumsum(counts * sizes)])
        self._values = np.memmap(file, dtype=np.float32 if file.suffix == ".f32" else np.float16, mode="r")
        if len(self._values) != self._starts[-1]:
            raise ValueError(f"{file} has {len(self._values)} values instead of {self._starts[-1]}")

    def __len__(self) -> int:
        return int(self._rows[-1])

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """Return samples `first` to `first + count`, float32 [count, ...], with zeros behind those that are shorter."""
        end = min(first + count, len(self))
        batches = range(
            int(np.searchsorted(self._rows, first, side="right")) - 1, int(np.searchsorted(self._rows, end))
        )
        parts = []
        for batch in batches:
            shape, before = self._shapes[batch], int(self._rows[batch])
            start, stop = max(first, before) - before, min(end, int(self._rows[batch + 1])) - before
            size, place = int(np.prod(shape)), int(self._starts[batch])
            values = self._values[place + start * size : place + stop * size]
            parts.append(values.reshape(stop - start, *shape).astype(np.float32))
        if len(parts) == 1:
            return parts[0]
        return _padded(parts)


def _padded(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    longest = [max(part.shape[axis] for part in parts) for axis in range(1, parts[0].ndim)]
    made = np.zeros((sum(map(len, parts)), *longest), dtype=np.float32)
    at = 0
    for part in parts:
        made[(slice(at, at + len(part)), *(slice(side) for side in part.shape[1:]))] = part
        at += len(part)
    return made


def merged(batches: Sequence[Batch]) -> list[Batch]:
    """Return batches in order, with neighbours of one shape as one."""
    found: list[Batch] = []
    for count, *shape in batches:
        if found and list(found[-1][1:]) == shape:
            found[-1] = (found[-1][0] + count, *shape)
        else:
            found.append((count, *shape))
    return found


def batches_of(table: Any) -> list[Batch]:
    """Return the batches in the table of a file: those stated, or one batch of the stated shape, as in older files."""
    return [
        tuple(int(side) for side in batch) for batch in (table["batches"] if "batches" in table else [table["shape"]])
    ]

"""The files of CIFAR-10-C: distorted test images of each kind, at five severities one after another."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eenas.bounds import check_regular
from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.tasks.distortions.spec import FILES
from eenas.tasks.distortions.strengths import SEVERITIES

LABELS = "labels.npy"
_DIGESTED = 1000  # images of each file; all take seconds for each kind


class CorruptionFiles:
    """The files of a folder for a test source of `count` images; they are mapped into memory, not read.

    KIND.npy is uint8 [5 count, H, W, C] with the severities 1 to 5 one after another, each in the order of the test
    source. labels.npy [5 count] holds the class numbers (Hendrycks and Dietterich, ICLR 2019).
    """

    def __init__(self, folder: Path, count: int) -> None:
        """Raises TaskError for a missing folder or labels that are not those of `count` images."""
        if not folder.is_dir():
            raise TaskError(f"distortions.files: {shortened(str(folder))} is not a folder; give the one of CIFAR-10-C")
        self._folder, self._count = folder, count
        self._arrays: dict[str, NDArray[np.uint8]] = {}
        labels = self._load(LABELS)
        if labels.shape != (len(SEVERITIES) * count,) or labels.dtype.kind not in "iu":
            raise TaskError(
                f"{folder / LABELS} must hold {len(SEVERITIES) * count:,} class numbers, 5 for each of the {count:,} "
                f"images of the test source, got the shape {list(labels.shape)} of {labels.dtype}"
            )
        self._labels = labels.reshape(len(SEVERITIES), count)

    def check_labels(self, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        """Raise TaskError unless the images at `rows` of the test source have these `labels` in the files, too."""
        differ = (self._labels[:, rows] != labels).any(axis=0)
        if differ.any():
            row = int(rows[np.argmax(differ)])
            raise TaskError(
                f"{self._folder / LABELS} differs from the task for {int(differ.sum()):,} of {len(rows):,} samples "
                f"(first: position {row}); the files need the order and the class numbers of the test source"
            )

    def check_kind(self, kind: str) -> None:
        """Raise TaskError unless the file of a kind has the right number of images uint8 [n, H, W, C]."""
        self._images(kind)

    def read(self, kind: str, severity: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the distorted images at `rows` of the test source, uint8 [n, C, H, W]."""
        images = self._images(kind)[(severity - 1) * self._count + rows]
        return np.ascontiguousarray(np.moveaxis(images, 3, 1))

    def digest(self, kinds: Sequence[str]) -> str:
        """Return a digest of the sizes of the files of `kinds`, and of evenly spaced images of each."""
        found = hashlib.sha256()
        for kind in kinds:
            images = self._images(kind)
            found.update(f"{kind} {images.shape}".encode())
            rows = np.linspace(0, len(images) - 1, min(_DIGESTED, len(images))).astype(np.int64)
            found.update(np.ascontiguousarray(images[rows]).data)
        return found.hexdigest()[:16]

    def _images(self, kind: str) -> NDArray[np.uint8]:
        if kind not in self._arrays:
            name = f"{FILES.get(kind, kind)}.npy"
            array, wanted = self._load(name), len(SEVERITIES) * self._count
            if (
                array.ndim != 4
                or array.dtype != np.uint8
                or array.shape[3] not in (1, 3)
                or len(array) != wanted
                or not array.size
            ):
                raise TaskError(
                    f"{self._folder / name} must hold {wanted:,} images uint8 [n, H, W, C], 5 for each of the "
                    f"{self._count:,} images of the test source, got the shape {list(array.shape)} of {array.dtype}"
                )
            self._arrays[kind] = array
        return self._arrays[kind]

    def _load(self, name: str) -> NDArray[Any]:
        path = self._folder / name
        try:
            check_regular(path)  # a pipe would block
            with path.open("rb") as stream:
                if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:  # an archive, whose file would stay open
                    raise ValueError("another format")
            with np.errstate(over="ignore"):  # of the size that a damaged header claims
                found: NDArray[Any] = npy.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise TaskError(f"{path}: no such file; distortions.files needs it") from None
        except Exception as error:  # NumPy and zipfile raise a dozen kinds for a damaged file
            raise TaskError(
                f"{path}: not a .npy array ({shortened(str(error))}); give the files of CIFAR-10-C"
            ) from None
        return found

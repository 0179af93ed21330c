"""Arrays of images and labels, checked and brought to one form."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError

MOST_CHANNELS = 16


@dataclass(frozen=True, eq=False)
class CheckedArrays:
    """Images uint8 [n, H, W, C] and labels int64 [n] of one source."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the images; labels are left to the task."""
        state = hashlib.sha256(repr(self.images.shape).encode())
        state.update(np.ascontiguousarray(self.images).data)
        return state.hexdigest()[:16]


def check_source(images: Any, labels: Any, source: str, classes: Sequence[str] | None) -> CheckedArrays:
    """One source's arrays, named `{source}_x` and `{source}_y` in messages; `classes` bounds the labels where given.

    Images are uint8 [n, H, W] or [n, H, W, C], or floats that all lie in [0, 1], which become `round(255 x)`. Labels
    are integers [n] from 0 up. Raises TaskError for anything else.
    """
    pixels = check_images(images, f"{source}_x")
    numbers = check_labels(labels, f"{source}_y", classes)
    if len(pixels) != len(numbers):
        raise TaskError(
            f"{source}_x has {len(pixels)} images but {source}_y has {len(numbers)} labels; give each image one label"
        )
    return CheckedArrays(pixels, numbers)


def check_images(images: Any, name: str) -> NDArray[np.uint8]:
    """Images as uint8 [n, H, W, C]; raises TaskError for another shape, type or range."""
    array = np.asarray(images)
    shape = list(array.shape)
    if array.ndim not in (3, 4):
        raise TaskError(f"{name} must be [n, H, W] or [n, H, W, C], got the shape {shape}")
    if len(array) == 0 or array.size == 0:
        raise TaskError(f"{name} is empty: got the shape {shape}; give at least a few images of each class")
    if array.ndim == 3:
        array = array[..., None]
    elif array.shape[3] > MOST_CHANNELS:
        first = array.shape[1] <= 4
        fix = f"{name}.transpose(0, 2, 3, 1) puts them last" if first else f"at most {MOST_CHANNELS} channels are taken"
        raise TaskError(f"{name} must have its channels on the last axis, got the shape {shape}; {fix}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise TaskError(
            f"{name} must be uint8, or floats in [0, 1], got {array.dtype}; convert it with .astype('uint8')"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # NaN fails this, too
        raise TaskError(
            f"{name} holds floats from {low:g} to {high:g}, but floats must lie in [0, 1]; scale them, or give uint8"
        )
    return np.rint(array.astype(np.float32) * 255).astype(np.uint8)


def check_labels(labels: Any, name: str, classes: Sequence[str] | None) -> NDArray[np.int64]:
    """Labels as int64 [n]; raises TaskError for another shape or type, or a label outside 0..C-1."""
    array = np.asarray(labels)
    if array.ndim != 1:
        fix = f"; {name}.ravel() makes it so" if array.size == len(array if array.ndim else [array]) else ""
        raise TaskError(f"{name} must be [n], one class number for each image, got the shape {list(array.shape)}{fix}")
    if array.dtype.kind not in "iu":
        raise TaskError(f"{name} must hold integers (class numbers from 0 up), got {array.dtype}")
    if len(array) == 0:
        return array.astype(np.int64)
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise TaskError(f"{name} holds the label {low}; class numbers go from 0 up")
    if classes is not None and high >= len(classes):
        raise TaskError(f"{name} holds the label {high}, but there are {len(classes)} classes: 0 to {len(classes) - 1}")
    if classes is None and high >= len(array):
        raise TaskError(
            f"{name} holds the label {high} with only {len(array)} samples; number the classes 0, 1, 2 and so on"
        )
    return array.astype(np.int64)


def check_class_names(classes: Any) -> tuple[str, ...]:
    """Class names as text; raises TaskError when they are not one list of different, non-empty names."""
    array = np.asarray(classes)
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise TaskError(f"classes must be a list of names, got {array.dtype} of the shape {list(array.shape)}")
    try:
        names = [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
    except UnicodeDecodeError:
        raise TaskError("classes must be names in UTF-8, got other bytes; save them as text") from None
    if not all(names):
        raise TaskError(f"class {names.index('')} has an empty name; give each class a name")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TaskError(f"classes must differ, got {twice[0]!r} more than once")
    return tuple(names)

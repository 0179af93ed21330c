"""Arrays of images: checking and converting them."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.tasks.spec import Layout

MAX_CHANNELS = 16
_CHUNK = 1 << 22  # floats scaled at a time
DARK = 16
"""Images without a larger value are nearly black."""


def digest_of_images(images: NDArray[np.uint8]) -> str:
    """Return 16 hexadecimal digits for images uint8 [n, H, W, C], without labels."""
    state = hashlib.sha256(repr(images.shape).encode())
    state.update(np.ascontiguousarray(images).data)
    return state.hexdigest()[:16]


def dark(images: NDArray[np.uint8], name: str) -> str | None:
    """Return a notice if the images use so few of the 256 levels that they are nearly black, else None."""
    top = int(images.max())
    if top > DARK:
        return None
    return f"{name} holds values up to {top} of 255, so its images are nearly black; scale them to 0..255"


def check_images(images: Any, name: str, layout: Layout | None = None) -> NDArray[np.uint8]:
    """Return the images as uint8 [n, H, W, C].

    They may be [n, H, W], [n, H, W, C] or [n, C, H, W]: integers of any type in 0..255, booleans, or floats in [0, 1],
    which become `round(255 x)`.

    Raises TaskError for another shape, type or range.
    """
    array = np.asarray(images)
    shape = list(array.shape)
    if array.size == 0:
        raise TaskError(f"{name} is empty: got the shape {shape}; give a few samples of each class")
    if array.ndim not in (3, 4):
        raise TaskError(f"{name} must be [n, H, W], [n, H, W, C] or [n, C, H, W], got the shape {shape}")
    array = array[..., None] if array.ndim == 3 else _channels_last(array, name, layout)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        levels: NDArray[np.uint8] = np.multiply(array, np.uint8(255))
        return levels
    if array.dtype.kind not in "iuf":
        raise TaskError(f"{name} must hold numbers in 0..255, or floats in [0, 1], got {array.dtype}")
    low, high = array.min(), array.max()
    if array.dtype.kind in "iu":
        if int(low) >= 0 and int(high) <= 255:
            return array.view(np.uint8) if array.dtype.itemsize == 1 else array.astype(np.uint8)
        raise TaskError(
            f"{name} holds {array.dtype} from {low} to {high}, but integers must lie in 0..255; "
            f"{_scaled(name, float(low), float(high), is_whole=True)}"
        )
    if not (low >= 0.0 and high <= 1.0):  # also false for NaN
        raise TaskError(
            f"{name} holds floats from {low:g} to {high:g}, but floats must lie in [0, 1]; "
            f"{_scaled(name, float(low), float(high), is_whole=False)}"
        )
    return _rounded(array)


def _rounded(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return floats [n, H, W, C] in [0, 1] as `round(255 x)`, converted in parts to limit memory."""
    levels = np.empty(array.shape, dtype=np.uint8)
    count, tall, wide, channels = array.shape
    images = max(1, _CHUNK // (tall * wide * channels))
    rows = tall if images > 1 else max(1, _CHUNK // (wide * channels))
    for first in range(0, count, images):
        for top in range(0, tall, rows):
            part = np.s_[first : first + images, top : top + rows]
            levels[part] = np.rint(array[part].astype(np.float32) * 255)
    return levels


def _scaled(name: str, low: float, high: float, *, is_whole: bool) -> str:
    """Return advice for bringing values from `low` to `high` into [0, 1] without overflow."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "replace NaN and infinite values"
    if low >= 0:
        if high < 2:  # not another scale: a filter or a resize overshot
            return f"{name}.clip(0, 1) clips them"
        top = next((top for top in (255, 1023, 4095, 16383, 65535) if high <= top), high)
        return f"{name} / {_exact(top)} scales them"
    if low >= -1.0 and high <= 1.0 and not is_whole:
        return f"({name} + 1) / 2 scales [-1, 1] to [0, 1]"
    wide = f"{name}.astype('float64')" if is_whole else name  # integers of few bits would wrap
    scaled = f"({wide} + {_exact(-low)}) / {_exact(high - low)} scales them"
    return scaled if is_whole else f"{scaled}; give images before any standardisation"


def _exact(value: float) -> str:
    """Return a number for a formula, with all its digits."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _channels_last(array: NDArray[Any], name: str, layout: Layout | None) -> NDArray[Any]:
    """Return the images as [n, H, W, C].

    Raises TaskError if the shape is ambiguous or has too many channels.
    """
    shape = list(array.shape)
    if layout is None:
        first, last = _rank(array.shape[1]), _rank(array.shape[3])
        if first == last:
            raise TaskError(
                f"{name} must have at most {MAX_CHANNELS} channels, got the shape {shape}"
                if first == _rank(MAX_CHANNELS + 1)
                else f"{name} has the shape {shape}, in which axis 1 or axis 3 could be the channels; "
                'set layout = "NCHW" or "NHWC" (task.layout)'
            )
        layout = "NCHW" if first < last else "NHWC"
    planes = np.moveaxis(array, 1, 3) if layout == "NCHW" else array
    if planes.shape[3] > MAX_CHANNELS:
        raise TaskError(f"{name} must have at most {MAX_CHANNELS} channels, got the shape {shape} as {layout}")
    return planes


def _rank(length: int) -> int:
    """Return how likely an axis of this length holds the channels, from 0 (grey and colour) to 3 (impossible)."""
    return 0 if length in (1, 3) else 1 if length == 4 else 2 if length <= MAX_CHANNELS else 3

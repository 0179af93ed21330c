"""The codecs of features on their way to the server: float32, float16, and int8 with a scale and an offset."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, ProtocolError, nearest
from eenas.programs.remote.split_facts import FEATURE_TENSOR

CODECS = ("float32", "float16", "int8", "int8_channel")
"""The names of the codecs. The last two are linear: one scale for each sample, or for each channel of a sample."""

SCALE, OFFSET = "scale", "offset"
"""The tensors that belong to int8 features, float32, broadcast against them."""

_LEAST, _MOST = -128.0, 127.0
_LARGEST_HALF = float(np.finfo(np.float16).max)


def check_codec(codec: str) -> None:
    """Raise InputError for an unknown codec."""
    if codec not in CODECS:
        raise InputError(f"unknown codec {codec!r:.60}; {nearest(str(codec), CODECS)}")


def encode_features(features: NDArray[np.float32], codec: str) -> dict[str, NDArray[Any]]:
    """Return the tensors that stand for finite features [n, ...] by name. Raises InputError for an unknown codec.

    float16 limits values to its range, ±65,504. int8 stands for `features * scale + offset`, with the smallest range
    that holds the values and zero; zero stays exactly zero, and others change by at most half a scale. Each sample is
    coded independently of its batch.
    """
    check_codec(codec)
    if codec == "float32":
        return {FEATURE_TENSOR: features}
    if codec == "float16":
        return {FEATURE_TENSOR: np.clip(features, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)}
    kept = 2 if codec == "int8_channel" and features.ndim > 2 else 1
    axes = tuple(range(kept, features.ndim))
    low = np.minimum(features.min(axis=axes, keepdims=True), 0).astype(np.float64)
    high = np.maximum(features.max(axis=axes, keepdims=True), 0).astype(np.float64)
    scale = ((high - low) / (_MOST - _LEAST)).astype(np.float32)
    scale = np.where(scale > 0, scale, np.float32(1))
    zero = np.rint(_LEAST - low / scale).astype(np.float32)
    codes = np.clip(np.rint(features / scale) + zero, _LEAST, _MOST).astype(np.int8)
    return {FEATURE_TENSOR: codes, SCALE: scale, OFFSET: -(zero * scale)}  # in float32, as the decoder multiplies


def decode_features(tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the features float32 [n, ...] that tensors from `encode_features` stand for.

    `scale` and `offset` of int8 features have the shape [n], [n, channels], or one that broadcasts against them. Raises
    ProtocolError for other types and shapes.
    """
    features = tensors.get(FEATURE_TENSOR)
    if features is None:
        raise ProtocolError(f"the tensor {FEATURE_TENSOR!r} is missing; send it")
    if features.dtype in (np.float32, np.float16):
        return np.ascontiguousarray(features, dtype=np.float32)
    if features.dtype != np.int8:
        raise ProtocolError(f"{FEATURE_TENSOR} must be FP32, FP16 or INT8, got {features.dtype}")
    scale, offset = (_fitting(name, tensors.get(name), features.shape) for name in (SCALE, OFFSET))
    return features.astype(np.float32) * scale + offset


def encoded_bytes(shape: tuple[int, ...], codec: str) -> int:
    """Return the bytes of one sample's features of this `shape` without compression, scales and offsets included."""
    check_codec(codec)
    values = math.prod(shape)
    if codec == "int8":
        return values + 8
    if codec == "int8_channel":
        return values + 8 * (shape[0] if len(shape) > 1 else 1)
    return values * (2 if codec == "float16" else 4)


def _fitting(name: str, array: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a scale or an offset in a shape that broadcasts against features of this `shape`."""
    if array is None:
        raise ProtocolError(f"INT8 features need the tensor {name!r}; send it, FP32 [n], or send FP32 features")
    sides = (*array.shape, *(1,) * (len(shape) - array.ndim))
    fits = len(sides) == len(shape) and sides[:1] == shape[:1]
    fits = fits and all(side in (1, own) for side, own in zip(sides, shape, strict=True))
    if array.dtype != np.float32 or not fits or not np.isfinite(array).all():
        raise ProtocolError(
            f"{name} must be finite, FP32 [{shape[0]}] or a shape that broadcasts against features {list(shape)}, got "
            f"{array.dtype} {list(array.shape)}"
        )
    return array.astype(np.float32, copy=False).reshape(sides)

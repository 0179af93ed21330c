"""The distortion classifier: softmax regression on a few features of an image, in NumPy, as plain numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import check_keys
from eenas.errors import InputError
from eenas.escaping import shortened
from eenas.tasks.recognition.distortion_features import IMAGE_FEATURES, LEAST_SIDE, distortion_features, feature_macs

GREY_SHARES = (0.299, 0.587, 0.114)  # ITU-R BT.601
MOST_KINDS = 100
CLOSE_CALL = 1e-4
"""The difference of the two largest logits within which two implementations may choose differently."""

_GREY_LEVELS = 255.0
_IMAGES_AT_ONCE = 256  # images at a time, to limit intermediate memory


@dataclass(frozen=True, kw_only=True)
class DistortionClassifier:
    """Tells for each image which of `kinds` of distortion it has; the first kind is that of clean images.

    It reads a network's input, float32 [N, *shape] with `shape` (channels, H, W), and undoes the transform
    `(x - mean) / std` of each channel, so that it runs wherever the network does. Features (`distortion_features`) are
    standardised by `centre` and `scale` [F], and `weights` [kinds][F] and `biases` [kinds] give the logits.

    Raises InputError for values that do not fit together.
    """

    kinds: Sequence[str]
    shape: Sequence[int]
    mean: Sequence[float]
    std: Sequence[float]
    centre: Sequence[float]
    scale: Sequence[float]
    weights: Sequence[Sequence[float]]
    biases: Sequence[float]
    _arrays: tuple[NDArray[np.float32], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Convert to tuples of plain floats and check the values, which may come from a damaged manifest."""
        kinds, shape = tuple(self.kinds), tuple(self.shape)
        _check_kind_names(kinds)
        check_image_shape(shape)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "shape", shape)
        for name, count in (
            ("mean", shape[0]),
            ("std", shape[0]),
            ("centre", IMAGE_FEATURES),
            ("scale", IMAGE_FEATURES),
        ):
            object.__setattr__(self, name, _classifier_numbers(name, getattr(self, name), count))
        object.__setattr__(self, "biases", _classifier_numbers("biases", self.biases, len(kinds)))
        if not isinstance(self.weights, list | tuple) or len(self.weights) != len(kinds):
            raise InputError(f"the weights of a distortion classifier must be {len(kinds)} rows, one for each kind")
        object.__setattr__(
            self, "weights", tuple(_classifier_numbers("weights", row, IMAGE_FEATURES) for row in self.weights)
        )
        if not all(value > 0 for value in (*self.std, *self.scale)):
            raise InputError("std and scale of a distortion classifier must be positive; fit it again")
        arrays = (self.mean, self.std, self.centre, self.scale, np.transpose(self.weights), self.biases)
        object.__setattr__(self, "_arrays", tuple(np.array(each, dtype=np.float32) for each in arrays))

    @property
    def macs(self) -> int:
        """The multiply-accumulates of one image."""
        channels, height, width = self.shape
        return channels * height * width + feature_macs(height, width) + IMAGE_FEATURES * (1 + len(self.kinds))

    def features(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the features [N, F] of inputs float32 [N, *shape]. Raises InputError for any other batch."""
        if not isinstance(batch, np.ndarray) or batch.dtype != np.float32 or batch.shape[1:] != self.shape:
            got = f"{batch.dtype} {list(batch.shape)}" if isinstance(batch, np.ndarray) else type(batch).__name__
            raise InputError(
                f"the distortion classifier takes images float32 [N, {_shape_text(self.shape)}], got {got}"
            )
        found = np.empty((len(batch), IMAGE_FEATURES), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # the network refuses numbers that overflow
            for start in range(0, len(batch), _IMAGES_AT_ONCE):
                found[start : start + _IMAGES_AT_ONCE] = distortion_features(
                    self._grey(batch[start : start + _IMAGES_AT_ONCE])
                )
        return found

    def logits(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the logits [N, kinds] of inputs float32 [N, *shape]. Raises InputError as `features` does."""
        centre, scale, weights, biases = self._arrays[2:]
        features = self.features(batch)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return np.asarray((features - centre) / scale @ weights + biases)

    def choose(self, batch: NDArray[Any]) -> NDArray[np.int64]:
        """Return the index of the likeliest kind of each input, [N]. Raises InputError as `logits` does."""
        return np.asarray(self.logits(batch).argmax(axis=1), dtype=np.int64)

    def near(self, batch: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for which inputs, [N], rounding may change the choice."""
        if len(self.kinds) < 2:
            return np.zeros(len(batch), dtype=np.bool_)
        ordered = np.sort(self.logits(batch), axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2] <= CLOSE_CALL)

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        table: dict[str, Any] = {"kinds": list(self.kinds), "shape": list(self.shape)}
        table |= {name: list(getattr(self, name)) for name in ("mean", "std", "centre", "scale")}
        return {**table, "weights": [list(row) for row in self.weights], "biases": list(self.biases)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, file: str = "", key: str = "") -> "DistortionClassifier":
        """Return the classifier that `to_table` wrote. Raises SpecError for other keys, InputError for bad values."""
        names = ("kinds", "shape", "mean", "std", "centre", "scale", "weights", "biases")
        check_keys(table, names, names, file=file, key=key, kind="a distortion classifier")
        for name in ("kinds", "shape"):
            if not isinstance(table[name], list | tuple):
                raise InputError(f"the {name} of a distortion classifier must be a list, got {shortened(table[name])}")
        return cls(**table)

    def _grey(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the grey levels [N, H, W] in 0..255 of inputs: luma of three channels, else their mean."""
        mean, std = self._arrays[:2]
        channels = len(mean)
        shares = (
            np.array(GREY_SHARES if channels == 3 else (1.0 / channels,) * channels, dtype=np.float32) * _GREY_LEVELS
        )
        grey = np.full((len(batch), *self.shape[1:]), float((mean * shares).sum()), dtype=np.float32)
        for channel in range(channels):
            grey += batch[:, channel] * (std[channel] * shares[channel])
        return grey


def check_image_shape(shape: Sequence[Any]) -> None:
    """Raise InputError unless `shape` is (channels, H, W) of images that the classifier can read."""
    whole = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in shape)
    if len(shape) != 3 or not whole:
        raise InputError(f"distortions are recognised in images [channels, H, W], got samples {shortened(list(shape))}")
    if min(shape[1:]) < LEAST_SIDE:
        raise InputError(
            f"distortions are recognised in images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels, got "
            f"{shape[1]} x {shape[2]}; choose a larger input size"
        )


def _check_kind_names(kinds: tuple[Any, ...]) -> None:
    texts = all(isinstance(kind, str) and 0 < len(kind) <= 100 and kind.isprintable() for kind in kinds)
    if not texts or not 1 <= len(kinds) <= MOST_KINDS or len(set(kinds)) != len(kinds):
        raise InputError(
            f"the kinds of a distortion classifier must be 1 to {MOST_KINDS} different names, got {shortened(kinds)}"
        )


def _classifier_numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    plain = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if not plain or len(values) != count or not all(abs(value) < 1e30 and math.isfinite(value) for value in values):
        raise InputError(f"{name} of a distortion classifier must be {count} finite numbers, got {shortened(values)}")
    return tuple(float(value) for value in values)


def _shape_text(shape: Sequence[int]) -> str:
    return ", ".join(str(side) for side in shape)

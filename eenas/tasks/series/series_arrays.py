"""Arrays of time series: checking and converting them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError

MAX_CHANNELS = 4096


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Return the values as one array.

    Raises TaskError for masked or non-numeric values, and for samples of different shapes.
    """
    if np.ma.is_masked(values):
        raise TaskError(
            f"{name} must have a value everywhere, got a masked array; fill it, for example {name}.filled(0)"
        )
    if isinstance(values, list | tuple) and all(np.ndim(each) == 2 for each in values):
        check_channel_counts(values, name)
    if isinstance(values, list | tuple) and (missing := [row for row, each in enumerate(values) if each is None]):
        raise TaskError(f"{name} must have a value everywhere, got None in sample {missing[0]}; leave this sample out")
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        raise TaskError(f"{name} must be one array, got samples of different shapes; {_one_length(name)}") from None
    if array.dtype.kind in "OUS" and array.ndim != 1:
        got = f"{array.dtype} of the shape {list(array.shape)}" if array.ndim else f"the type {type(values).__name__}"
        raise TaskError(f"{name} must hold numbers, or be one list of texts, got {got}; give an array or a list")
    if array.dtype.kind == "O":
        raise TaskError(
            f"{name} must hold numbers, got objects, such as series of their own length; {_one_length(name)}"
        )
    return array


def check_channel_counts(series: Any, name: str) -> None:
    """Raise TaskError if series [channels, length] differ in channels."""
    sizes = sorted({int(np.shape(each)[0]) for each in series})
    if len(sizes) > 1:
        raise TaskError(
            f"{name} has series that differ in channels, from {sizes[0]} to {sizes[-1]}; give all the same channels, "
            "in the same order"
        )


def check_series(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return the series as a copy, float32 [n, channels, length]. [n, length] has one channel.

    Values are finite numbers of any type and range.

    Raises TaskError for another shape or type, and for NaN and infinity.
    """
    shape = list(values.shape)
    if values.size == 0:
        raise TaskError(f"{name} is empty: got the shape {shape}; give a few samples of each class")
    if values.ndim not in (2, 3):
        fix = f"; use {name}.reshape(len({name}), -1, length)" if values.ndim > 3 else ""
        raise TaskError(f"{name} must be series [n, channels, length] or [n, length], got the shape {shape}{fix}")
    if values.dtype.kind not in "biuf":
        raise TaskError(f"{name} must hold numbers, got {values.dtype}; save series as floats")
    if values.ndim == 2:
        values = values[:, None, :]
    if values.shape[1] > MAX_CHANNELS:
        raise TaskError(
            f"{name} must have at most {MAX_CHANNELS:,} channels, got {values.shape[1]:,} of the shape {shape} as "
            f"[n, channels, length]; {name}.transpose(0, 2, 1) puts the channels before time"
        )
    with np.errstate(over="ignore"):
        series = np.array(values, dtype=np.float32, order="C")
    finite = np.isfinite(series)
    if not finite.all():
        sample, channel, time = (int(each) for each in np.argwhere(~finite)[0])
        held = float(values[sample, channel, time])
        kind = "NaN" if np.isnan(held) else f"{held:g}" if np.isinf(held) else f"{held:g}, infinite in float32,"
        fix = f"fill gaps (numpy.interp, or numpy.nan_to_num({name})), or leave these samples out"
        raise TaskError(f"{name} must hold finite numbers, got {kind} in sample {sample}, channel {channel}; {fix}")
    return series


def check_channels(series: NDArray[np.float32], name: str) -> None:
    """Raise TaskError for a channel that is constant over all samples, since it carries no information."""
    flat = np.flatnonzero((series == series[:1, :, :1]).all(axis=(0, 2)))
    if len(flat):
        channel = int(flat[0])
        value = float(series[0, channel, 0])
        raise TaskError(
            f"{name} must have channels that vary, got {value:g} throughout channel {channel}; leave it out: "
            f"numpy.delete({name}, {flat.tolist()}, axis=1)"
            if series.shape[1] > len(flat)
            else f"{name} must have channels that vary, got {value:g} throughout; give other data"
        )


def _one_length(name: str) -> str:
    return f"cut all to the shortest or pad all to the longest, and give {name} as one array of numbers"

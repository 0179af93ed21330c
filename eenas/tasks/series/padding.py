"""Series of different length: padded to the longest, with a mask as their last channel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import TaskError
from eenas.tasks.series.series_arrays import check_channel_counts


def padded(values: Any, name: str) -> Any:
    """Return series of different length as one array [n, channels, longest], with NaN behind the shorter ones.

    They are a list, or an array of objects, of series [channels, length] or [length]. Anything else is returned as it
    is. Raises TaskError for series that differ in channels.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.ndim == 1:
        values = list(values)
    if not isinstance(values, list | tuple) or not values or any(np.ndim(each) not in (1, 2) for each in values):
        return values
    series = [np.asarray(each) for each in values]
    series = [each[None] if each.ndim == 1 else each for each in series]
    lengths = [each.shape[1] for each in series]
    if len(set(lengths)) == 1 or any(each.dtype.kind not in "biuf" for each in series):
        return values
    check_channel_counts(series, name)
    found = np.full((len(series), len(series[0]), max(lengths)), np.nan)
    for row, each in zip(found, series, strict=True):
        row[:, : each.shape[1]] = each
    return found


def lengths_of(values: Any, name: str) -> NDArray[np.int64] | None:
    """Return the points [n] of each series in an array [n, channels, length] or [n, length] that ends in NaN.

    None if no series does. The padding is NaN in all channels. Raises TaskError for a series without a point.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim not in (2, 3) or not values.size:
        return None
    missing: NDArray[np.bool_] = np.asarray(np.isnan(values), dtype=np.bool_)
    missing = missing if values.ndim == 2 else np.asarray(missing.all(axis=1))
    if not missing[:, -1].any():
        return None
    lengths = np.where(missing.all(axis=1), 0, missing.shape[1] - np.argmin(missing[:, ::-1], axis=1))
    if not lengths.all():
        raise TaskError(f"{name} must have a point in every series, got none in series {int(np.argmin(lengths))}")
    return lengths.astype(np.int64)


def ended(values: NDArray[Any], lengths: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return series [n, channels, L] or [n, L] with NaN behind the end of each, after `lengths` [n] points.

    Raises TaskError for other lengths than whole numbers from 1 to L, one for each series.
    """
    if values.ndim not in (2, 3) or values.dtype.kind not in "biuf":
        raise TaskError(
            f"{name}_lengths is for series [n, channels, length], got {values.dtype} {list(values.shape)} in {name}_x; "
            "leave it out"
        )
    longest = values.shape[-1]
    if lengths.shape != (len(values),) or lengths.dtype.kind not in "iu":
        raise TaskError(
            f"{name}_lengths must be integers [{len(values)}], the points of each series, got {lengths.dtype} "
            f"{list(lengths.shape)}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > longest))
    if len(wrong):
        raise TaskError(
            f"{name}_lengths must be from 1 to the {longest} points of {name}_x, got {int(lengths[wrong[0]])} for "
            f"series {int(wrong[0])}; correct it, or leave this series out"
        )
    found = values.astype(np.float64)
    behind = np.arange(longest) >= lengths[:, None]
    found[behind if found.ndim == 2 else np.broadcast_to(behind[:, None], found.shape)] = np.nan
    return found


def with_length(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Return series [n, channels, L] or [n, L] with NaN behind them up to `length`, at least L."""
    more = length - values.shape[-1]
    return np.pad(values.astype(np.float64), [(0, 0)] * (values.ndim - 1) + [(0, more)], constant_values=np.nan)


def split_mask(values: NDArray[Any], lengths: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the series with 0 in place of the padding, and the mask [n, 1, length]."""
    inside = np.arange(values.shape[-1]) < lengths[:, None]
    filled = np.where(inside if values.ndim == 2 else inside[:, None], values, 0.0)
    return filled, inside[:, None].astype(np.float32)

"""The transform of time series in NumPy: each channel is standardised by the mean and deviation of training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, plural
from eenas.programs.preprocessing.preprocessing import Preprocessing, check_finite, check_is_array

SERIES = "series"
_LARGEST_SIDE = 1 << 28


@dataclass(frozen=True)
class SeriesPreprocessing(Preprocessing):
    """Converts series [N, channels, length] to float32 of the same shape: `(x - mean) / std` for each channel.

    If `masked`, the last channel is the mask of series of different length, 1 where a point is and 0 in the padding:
    series [channels - 1, n] of up to `length` points get theirs from `prepare`. Raises InputError for invalid numbers.
    """

    files: ClassVar[str] = "series"
    channels: int
    length: int
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    masked: bool = False

    def __post_init__(self) -> None:
        """Check the values, which may come from a damaged manifest."""
        for name, side in (("channels", self.channels), ("length", self.length)):
            if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= _LARGEST_SIDE:
                raise InputError(f"{name} of a series must be a whole number of at least 1, got {side!r:.60}")
        if not isinstance(self.masked, bool) or (self.masked and self.channels < 2):
            raise InputError(f"masked must be true or false, with a channel beside the mask, got {self.masked!r:.60}")
        numbers = [*self.mean, *self.std]
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.real):
            raise InputError(f"mean and std must be {self.real} numbers each, or none, got {numbers}")
        if not all(map(math.isfinite, numbers)) or min(self.std, default=1) <= 0:
            raise InputError(f"mean and std must be finite and std positive, got {numbers}")

    @property
    def real(self) -> int:
        """The channels of a series, without the mask."""
        return self.channels - self.masked

    def file_endings(self) -> tuple[str, ...]:
        """See `Preprocessing.file_endings`."""
        return (".npy",)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a sample before and after the transform: (channels, length)."""
        return (self.channels, self.length)

    def prepare(self, sources: Sequence[Any]) -> NDArray[np.float32]:
        """Return raw series, transformed: float32 [N, channels, length].

        Each source is an array [channels, length], an array [length] for one channel, or the path of a `.npy` file with
        such an array or a batch [N, channels, length]. If `masked`, series may be shorter, and have no channel for the
        mask. Raises InputError for any other source, NaN and infinity.
        """
        made = [series for source in sources for series in self._read(source)]
        batch = np.stack(made) if made else np.zeros((0, *self.shape), dtype=np.float32)
        return self(batch)

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Transform a batch of raw series. Raises InputError for any other shape or type, NaN and infinity."""
        check_is_array(samples)
        if samples.dtype.kind not in "iuf" or samples.ndim != 3 or samples.shape[1:] != self.shape:
            raise self._refused("series", samples)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow becomes infinity, which is rejected below
            found = samples.astype(np.float32)
            if self.masked:
                found[:, :-1] = self._standardised(found[:, :-1]) * found[:, -1:]
            else:
                found = self._standardised(found)
        check_finite(found)
        return found

    def of_stream(self, points: Any) -> NDArray[np.float32]:
        """Return some points of a series, [channels, n] or [n] for one channel, transformed, with their mask.

        Raises InputError for other shapes, NaN and infinity.
        """
        values = np.asarray(points)
        values = values[None] if values.ndim == 1 and self.real == 1 else values
        if values.dtype.kind not in "iuf" or values.ndim != 2 or len(values) != self.real:
            got = f"{values.dtype} {list(values.shape)}"
            raise InputError(f"points must be floats [{self.real}, n] (channels before time), got {got}")
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._standardised(values.astype(np.float32)[None])
        if found.size:
            check_finite(found)
        return np.concatenate([found[0], np.ones((1, found.shape[2]), np.float32)]) if self.masked else found[0]

    def _standardised(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the real channels [N, C, n] at mean 0 and standard deviation 1."""
        if not self.mean:
            return values
        mean, std = (np.array(each, dtype=np.float32).reshape(1, -1, 1) for each in (self.mean, self.std))
        return np.asarray((values - mean) / std)

    def checked(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return a batch from `prepare`, which is already transformed. Raises InputError for any other batch."""
        check_is_array(batch)
        if batch.dtype != np.float32 or batch.ndim != 3 or batch.shape[1:] != self.shape:
            raise self._refused("a batch of series from preprocess", batch)
        check_finite(batch)
        return np.ascontiguousarray(batch)

    def _read(self, source: Any) -> list[NDArray[Any]]:
        """Return the series of one source, each [channels, length]."""
        values = _read_file(Path(source)) if isinstance(source, str | Path) else np.asarray(source)
        if values.ndim == 1 and self.real == 1:
            values = values[None, :]
        several = values if values.ndim == 3 else values[None]
        if self.masked and values.dtype.kind in "iuf" and several.ndim == 3 and several.shape[1] == self.real:
            several = self._padded(several)
        if values.dtype.kind not in "iuf" or several.ndim != 3 or several.shape[1:] != self.shape:
            raise self._refused("series", values)
        return list(several)

    def _padded(self, several: NDArray[Any]) -> NDArray[np.float32]:
        """Return shorter series [N, C, n], padded to the length of the model, with their mask as the last channel."""
        points = several.shape[2]
        if not 1 <= points <= self.length:
            raise InputError(f"a series must have 1 to {self.length} points, got {points}; cut it to the first of them")
        found = np.zeros((len(several), *self.shape), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            found[:, :-1, :points] = several
        found[:, -1, :points] = 1.0
        return found

    def _refused(self, what: str, got: NDArray[Any]) -> InputError:
        if self.masked and what == "series":  # the mask is ours
            wanted = f"[{self.real}, 1 to {self.length}] (channels before time)"
            fix = f"give {plural(self.real, 'channel')} of one point or more"
            return InputError(f"{what} must be floats {wanted}, got {got.dtype} {list(got.shape)}; {fix}")
        wanted = f"[N, {self.channels}, {self.length}] (channels before time)"
        fix = (
            "cut or pad them to that length"
            if got.ndim and got.shape[-1] != self.length
            else f"give {plural(self.channels, 'channel')}"
        )
        return InputError(f"{what} must be floats {wanted}, got {got.dtype} {list(got.shape)}; {fix}")


def _read_file(path: Path) -> NDArray[Any]:
    """Return the array of a `.npy` file. It is memory-mapped first, so no more is read than the file contains."""
    if not path.is_file():  # a pipe would block
        raise InputError(f"{str(path)[:200]!r}: no such file; give a .npy file of series")
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # NumPy raises a dozen kinds for a damaged file
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"{str(path)[:200]!r}: is not a readable .npy file ({reason}); write it with numpy.save"
        ) from None

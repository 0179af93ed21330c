"""The time series of one source, held in memory."""

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eenas.errors import TaskError, plural
from eenas.tasks.inputs import InputSpec
from eenas.tasks.samples import Samples
from eenas.tasks.series.series_input import is_masked, series_input


@final
class SeriesValues(Samples):
    """Series float32 [n, channels, length] of one source, in the order of its labels. `name` is used in messages.

    If `masked`, the last channel is 1 where a point of a series is and 0 in the padding behind it.
    """

    def __init__(self, series: NDArray[np.float32], name: str = "train_x", *, masked: bool = False) -> None:
        """`series` is the result of `check_series`. It is not copied."""
        self._series, self._name, self._masked = torch.from_numpy(series), name, masked
        state = hashlib.sha256(repr(series.shape).encode())
        state.update(series.astype("<f4", copy=False).data)
        self.digest = state.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._series)

    @property
    def inputs(self) -> InputSpec:
        """The spec with the channels and the length of these series."""
        _, channels, length = self._series.shape
        return series_input(channels, length, masked=self._masked)

    @property
    def shape(self) -> tuple[int, ...]:
        """The channels, the mask included, and the length of a series."""
        return tuple(self._series.shape[1:])

    @property
    def names(self) -> Sequence[str]:
        """The name of the array and the position in it."""
        return [f"{self._name}[{row}]" for row in range(len(self))]

    def digests(self) -> NDArray[np.uint64]:
        """Return a 64-bit digest of each series, [n]."""
        found = [hashlib.sha256(each.numpy().tobytes()).digest()[:8] for each in self._series]
        return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)

    def reader(self, rows: NDArray[np.int64], inputs: InputSpec) -> "SeriesReader":
        """Return a reader of the series at `rows`.

        Raises TaskError for another kind, other channels or another length.
        """
        if inputs.kind != "series":
            raise TaskError(f"the samples are {self.inputs}, but the network takes {inputs}; give data of that kind")
        if is_masked(inputs) != self._masked:
            other = "series of different length" if self._masked else "series of one length"
            raise TaskError(
                f"the samples are {other}, but the network was made for others; pad with NaN at the end, which marks it"
            )
        for axis in ("channel", "time"):
            have, wanted = self.inputs.size(axis), inputs.size(axis)
            if wanted not in (None, have):
                mask = " (the last channel is the mask)" if self._masked else ""
                raise TaskError(
                    f"the samples are {self.inputs}, but the network takes {inputs}{mask}; give series with the same "
                    "number of channels, cut or padded to the same length"
                )
        return SeriesReader(self._series, rows)

    def statistics(self, rows: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the mean and standard deviation of each channel, without the mask, over all points at `rows`.

        Raises TaskError for a channel that is constant over them.
        """
        series = self._series[torch.from_numpy(np.array(rows))].double()
        if self._masked:
            inside = series[:, -1] > 0
            series = series[:, :-1].transpose(0, 1)[:, inside][None]  # the points of all series, one after the other
        mean = series.mean(dim=(0, 2))
        std = (series - mean[None, :, None]).square().mean(dim=(0, 2)).sqrt()
        spread = series.amax(dim=(0, 2)) - series.amin(dim=(0, 2))
        if not bool((spread > 0).all()):
            flat = int((spread <= 0).nonzero()[0])
            raise TaskError(f"channel {flat} is constant over the {plural(len(rows), 'sample')} of train; leave it out")
        return tuple(mean.tolist()), tuple(std.tolist())


@final
class SeriesReader:
    """The series of a split, in the order of its labels."""

    def __init__(self, series: Tensor, rows: NDArray[np.int64]) -> None:
        self._series, self._rows = series, torch.from_numpy(np.array(rows))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return a copy of the series at positions `indices` [n] of the split, float32 [n, channels, length]."""
        return self._series[self._rows[torch.from_numpy(np.asarray(indices))]]

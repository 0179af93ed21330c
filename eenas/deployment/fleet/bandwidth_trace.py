"""Bandwidth over time, from a CSV file, repeated for as long as a simulation lasts."""

import csv
import io
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np

from eenas.bounds import read_file
from eenas.errors import SimulationError, SpecError
from eenas.escaping import shortened

MOST_BYTES = 16_000_000
"""The largest size of a file."""


@dataclass(frozen=True, kw_only=True)
class BandwidthTrace:
    """Bandwidth in Mbit/s [T] from each moment in `seconds` [T] on; the first moment is 0.

    The last bandwidth lasts for the mean distance of the moments, then the trace starts again. Raises SimulationError
    for unsorted moments, negative bandwidths, and a trace that never sends.
    """

    seconds: tuple[float, ...]
    mbit: tuple[float, ...]
    name: str = "trace"

    def __post_init__(self) -> None:
        """Check the values."""
        moments, widths = np.asarray(self.seconds, dtype=np.float64), np.asarray(self.mbit, dtype=np.float64)
        if moments.ndim != 1 or moments.shape != widths.shape or not len(moments):
            raise SimulationError(f"{self.name}: needs a bandwidth for each moment, and at least one of them")
        if moments[0] != 0 or not np.isfinite(moments).all() or (np.diff(moments) <= 0).any():
            raise SimulationError(f"{self.name}: moments must start at 0 s and increase; sort the trace by time")
        if not (np.isfinite(widths) & (widths >= 0)).all() or not widths.any():
            raise SimulationError(f"{self.name}: bandwidths must be Mbit/s from 0 up, at least one above 0")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the trace in a CSV file with the columns `seconds` and `mbit`, others are ignored.

        Moments count from the first one. Raises SimulationError with the file, and the line, for anything else.
        """
        file = Path(path)
        rows = csv_columns(file, ("seconds", "mbit"))
        start = rows[0][0]
        return cls(seconds=tuple(row[0] - start for row in rows), mbit=tuple(row[1] for row in rows), name=str(path))

    @property
    def period(self) -> float:
        """The length of the trace in seconds."""
        count = len(self.seconds)
        return self.seconds[-1] * count / (count - 1) if count > 1 else 1.0

    @property
    def mean_mbit(self) -> float:
        """The mean bandwidth over time."""
        return float(self._sent[-1] / self.period / 1e6)

    def end_ms(self, start_ms: float, size: float) -> float:
        """Return the moment at which `size` bytes are sent that start at a moment."""
        times, sent, period = self._times, self._sent, self.period
        rounds, place = divmod(start_ms / 1000.0, period)
        index = bisect_right(times, place) - 1
        bits = sent[index] + (place - times[index]) * 1e6 * self.mbit[index] + 8.0 * size
        more = max(0.0, ceil(bits / sent[-1]) - 1.0)
        index = max(0, bisect_left(sent, bits - more * sent[-1]) - 1)
        width = self.mbit[min(index, len(self.mbit) - 1)]
        place = times[index] + ((bits - more * sent[-1] - sent[index]) / (1e6 * width) if width else 0.0)
        return max(start_ms, 1000.0 * ((rounds + more) * period + place))

    @cached_property
    def _times(self) -> list[float]:
        return [*self.seconds, self.period]

    @cached_property
    def _sent(self) -> list[float]:
        """The bits sent from the start of the trace to each moment and to its end, [T + 1]."""
        lengths = np.diff(np.array(self._times))
        return [0.0, *np.cumsum(1e6 * np.array(self.mbit) * lengths).tolist()]


def csv_columns(file: Path, names: tuple[str, ...]) -> list[tuple[float, ...]]:
    """Return the numbers in these columns of a CSV file, one tuple for each line. Raises SimulationError."""
    wanted = f"give a CSV file with the header {','.join(names)}"
    try:
        text = read_file(file, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise SimulationError(f"{file}: cannot be read ({error.strerror}); {wanted}") from None
    except UnicodeDecodeError:
        raise SimulationError(f"{file}: is not a text in UTF-8; {wanted}") from None
    except SpecError as error:
        raise SimulationError(str(error)) from None
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SimulationError(f"{file}: is not a CSV file ({error}); {wanted}") from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    if missing := [name for name in names if name not in header]:
        raise SimulationError(f"{file}: the column {missing[0]} is missing; {wanted}")
    places, found = [header.index(name) for name in names], []
    for number, row in enumerate(rows[1:], start=2):
        try:
            found.append(tuple(float(row[place]) for place in places))
        except (ValueError, IndexError):
            raise SimulationError(
                f"{file}: line {number} needs a number for each of {', '.join(names)}, got {shortened(row)}"
            ) from None
    if not found:
        raise SimulationError(f"{file}: has a header but no lines; {wanted}")
    return found

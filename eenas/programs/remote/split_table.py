"""The split and the operating point for each state of the link, computed beforehand, and its switch with hysteresis."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from eenas.errors import InputError, nearest
from eenas.escaping import shortened
from eenas.programs.remote.remote_events import RemoteEvents
from eenas.tier_names import EDGE_ONLY

MOST_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """The choice for a link of at least `min_mbit` Mbit/s and at most `max_round_trip_ms` (None: any).

    `split` is the cut point of an exit, "" or "final". `point` is the index of an operating point in the manifest, in
    the order of its MACs, or None to keep the policy of the model.
    """

    split: str
    min_mbit: float = 0.0
    max_round_trip_ms: float | None = None
    point: int | None = None

    def holds(self, mbit: float, round_trip_ms: float) -> bool:
        """Whether the row is for such a link."""
        return mbit >= self.min_mbit and (self.max_round_trip_ms is None or round_trip_ms <= self.max_round_trip_ms)


@dataclass(frozen=True, kw_only=True)
class SplitTable:
    """Rows in the order of preference. The first row that holds decides; the last one holds for every link.

    Raises InputError for a table without rows, values out of range, and a last row with limits.
    """

    rows: tuple[SplitRow, ...]

    def __post_init__(self) -> None:
        """Check the rows."""
        rows = tuple(self.rows)
        object.__setattr__(self, "rows", rows)
        if not 1 <= len(rows) <= MOST_ROWS or not all(isinstance(row, SplitRow) for row in rows):
            raise InputError(f"a table has 1 to {MOST_ROWS:,} rows (SplitRow), got {shortened(rows)}")
        for number, row in enumerate(rows):
            limit, point = row.max_round_trip_ms, row.point
            right = isinstance(row.split, str) and _is_limit(row.min_mbit) and (limit is None or _is_limit(limit))
            right = right and (point is None or (isinstance(point, int) and not isinstance(point, bool) and point >= 0))
            if not right:
                raise InputError(
                    f"row {number}: a split, limits of at least 0 and perhaps a point, got {shortened(row)}"
                )
        if rows[-1].min_mbit > 0 or rows[-1].max_round_trip_ms is not None:
            raise InputError(f"the last row holds for every link and has no limits, got {shortened(rows[-1])}")

    def choose(self, mbit: float, round_trip_ms: float) -> int:
        """Return the index of the row for a link."""
        return next(number for number, row in enumerate(self.rows) if row.holds(mbit, round_trip_ms))

    def check(self, splits: Sequence[str], points: int) -> None:
        """Raise InputError unless the model has all splits and operating points of the table."""
        for row in self.rows:
            if row.split not in splits:
                raise InputError(f"the table has the split {row.split!r:.60}; {nearest(row.split, splits)}")
            if row.point is not None and row.point >= points:
                raise InputError(
                    f"the table has the point {row.point}, this model has {points}, from 0 to {points - 1}"
                )

    def to_table(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"rows": [vars(row) for row in self.rows]}

    @classmethod
    def from_table(cls, table: Any) -> "SplitTable":
        """Return the table in plain data. Raises InputError."""
        rows = table.get("rows") if isinstance(table, Mapping) else None
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "split" in row for row in rows):
            raise InputError(f"a table has rows, each with a split, got {shortened(table)}")
        try:
            return cls(rows=tuple(SplitRow(**row) for row in rows))
        except TypeError:
            known = ", ".join(SplitRow.__dataclass_fields__)
            raise InputError(f"a row has {known}, got {shortened(rows)}") from None


class LinkMeter:
    """A running estimate of a link from requests: medians over the last ones, so that single outliers do not count.

    The time of a request beyond the round trip is that of its bytes. A longer round trip on an open connection
    therefore looks like less bandwidth until the next small request.
    """

    def __init__(self, window: int = 15) -> None:
        self._rates: deque[float] = deque(maxlen=window)
        self._round_trips: deque[float] = deque(maxlen=window)

    @property
    def mbit(self) -> float | None:
        """The bandwidth in Mbit/s, or None before the first request."""
        return median(self._rates) if self._rates else None

    @property
    def round_trip_ms(self) -> float:
        """The round trip in milliseconds, 0 before the first small request."""
        return 1e3 * median(self._round_trips) if self._round_trips else 0.0

    def add(self, sent: int, seconds: float) -> None:
        """Add a request of `sent` bytes that was answered after `seconds`."""
        if sent < _SMALL:
            self._round_trips.append(seconds)
            return
        own = max(seconds - self.round_trip_ms / 1e3, 0.05 * seconds, 1e-6)
        self._rates.append(8e-6 * sent / own)


class SplitSwitch:
    """The current row of a table. It changes once the estimate has left the row by a margin, several times in a row.

    `margin` is a share of the limits (0.25 is 25 %), `hold` the number of requests in a row. At a split that sends
    nothing, `explore_seconds` after the last request one batch is sent by the row before it, to measure the link.
    """

    def __init__(
        self,
        table: SplitTable,
        events: RemoteEvents,
        *,
        margin: float = 0.25,
        hold: int = 3,
        explore_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table, self._events, self._clock = table, events, clock
        self._margin, self._hold, self._explore = margin, hold, explore_seconds
        self._meter = LinkMeter()
        self._current = self._start()
        self._away = 0
        self._heard = clock()

    @property
    def row(self) -> SplitRow:
        """The row in use."""
        return self._table.rows[self._current]

    @property
    def meter(self) -> LinkMeter:
        """The estimate of the link."""
        return self._meter

    def next_row(self) -> SplitRow:
        """Return the row for the next batch: that in use, or now and then another one that measures the link."""
        if self.row.split == EDGE_ONLY and self._clock() - self._heard >= self._explore:
            self._heard = self._clock()
            sending = [row for row in self._table.rows if row.split != EDGE_ONLY]
            return sending[-1] if sending else self.row
        return self.row

    def add(self, sent: int, seconds: float) -> None:
        """Add a request to the estimate, and switch if it is time."""
        self._meter.add(sent, seconds)
        self._heard = self._clock()
        mbit, trip = self._meter.mbit, self._meter.round_trip_ms
        if mbit is None or sent < _SMALL:
            return
        self._away = self._away + 1 if self._is_left(mbit, trip) else 0
        if self._away >= self._hold:
            old, self._current, self._away = self.row, self._table.choose(mbit, trip), 0
            why = f"{mbit:.3g} Mbit/s, round trip {trip:.3g} ms"
            self._events.add("split", _row_text(old), _row_text(self.row), why)

    def _start(self) -> int:
        """Return the first row that sends something: only requests measure the link."""
        rows = self._table.rows
        return next((number for number, row in enumerate(rows) if row.split != EDGE_ONLY), len(rows) - 1)

    def _is_left(self, mbit: float, trip: float) -> bool:
        """Whether a link is outside the current row also if it were better or worse by the margin."""
        more = 1 + self._margin
        better, worse = self._table.choose(mbit * more, trip / more), self._table.choose(mbit / more, trip * more)
        return self._current not in (better, worse, self._table.choose(mbit, trip))


_SMALL = 1500
"""A request below this number of bytes fits in a packet, and takes a round trip."""


def _row_text(row: SplitRow) -> str:
    return row.split if row.point is None else f"{row.split} at point {row.point}"


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0

"""The server of a simulation: one queue, several workers, and batches that form while they wait."""

from collections import deque
from dataclasses import dataclass
from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import NDArray

from eenas.deployment.fleet.split_times import number_from_zero, positive_number, whole_number
from eenas.errors import SimulationError
from eenas.escaping import shortened

NEVER = float("nan")
MOST_WORKERS, MOST_BATCH = 10_000, 4096


@dataclass(frozen=True, kw_only=True)
class ServerQueue:
    """A server with one queue in order of arrival and `workers` that each run one batch at a time.

    A free worker takes up to `max_batch` samples as soon as so many wait, or once the first of them has waited for
    `wait_ms`. A part of the network takes its time for one sample times the factor of the number of samples that reach
    it: `batch_factors` are pairs of size and factor in ascending order, from (1, 1) on, linear between and beyond them
    (one pair: proportional to the size). Samples that leave early are answered before the rest of their batch.
    """

    workers: int = 1
    max_batch: int = 1
    wait_ms: float = 0.0
    batch_factors: tuple[tuple[float, float], ...] = ((1.0, 1.0),)

    def __post_init__(self) -> None:
        """Check the values."""
        whole_number("the number of workers", self.workers, MOST_WORKERS)
        whole_number("the largest batch", self.max_batch, MOST_BATCH)
        number_from_zero("the wait of a batch in ms", self.wait_ms)
        pairs = tuple((float(size), float(factor)) for size, factor in self.batch_factors)
        for size, factor in pairs:
            positive_number("a batch size", size)
            positive_number("the factor of a batch", factor)
        sizes, factors = [size for size, _ in pairs], [factor for _, factor in pairs]
        if pairs[:1] != ((1.0, 1.0),) or sorted(set(sizes)) != sizes or sorted(factors) != factors:
            raise SimulationError(
                "batch factors must be pairs of size and factor in ascending order that start with 1:1, got "
                f"{shortened(pairs)}"
            )
        object.__setattr__(self, "batch_factors", pairs)

    def factors(self) -> NDArray[np.float64]:
        """Return the factor of every size from 0 to `max_batch`."""
        sizes, factors = map(np.array, zip(*((0.0, 0.0), *self.batch_factors), strict=True))
        slope = (factors[-1] - factors[-2]) / (sizes[-1] - sizes[-2])
        wanted = np.arange(self.max_batch + 1, dtype=np.float64)
        beyond = factors[-1] + slope * (wanted - sizes[-1])
        return np.asarray(np.where(wanted > sizes[-1], beyond, np.interp(wanted, sizes, factors)))

    def load(self, exits: NDArray[np.int64], part_ms: NDArray[np.float64], seconds: float) -> float:
        """Return the work of samples within `seconds` as a share of what the workers can do, in full batches.

        `exits` [S] number the exits of the server at which the samples leave, in order of arrival.
        """
        factors = self.factors()
        full = exits[: len(exits) - len(exits) % self.max_batch].reshape(-1, self.max_batch)
        if not len(full):
            full = exits[None]
        reached = (full[:, :, None] >= np.arange(len(part_ms))).sum(axis=1)
        work = (factors[np.minimum(reached, self.max_batch)] * part_ms).sum() * len(exits) / max(1, full.size)
        return float(work / (1000.0 * seconds * self.workers))


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """When the server began with each sample and answered it, in ms [S], and how large its batch was [S].

    Samples that were given up before their turn have NaN and 0. `busy` [B, 2] holds the beginning and end of each
    batch on its worker.
    """

    begun: NDArray[np.float64]
    answered: NDArray[np.float64]
    sizes: NDArray[np.int64]
    busy: NDArray[np.float64]


def serve(
    queue: ServerQueue,
    arrived: NDArray[np.float64],
    exits: NDArray[np.int64],
    part_ms: NDArray[np.float64],
    given_up: NDArray[np.float64],
) -> Served:
    """Return when samples are answered that arrive in this order at the moments `arrived` [S] in ms.

    A sample with the number e in `exits` [S] needs the parts 0 to e, whose times for one sample are `part_ms` [P]. It
    leaves the queue unanswered if its turn has not come before the moment `given_up` [S].
    """
    if queue.max_batch == 1:
        return serve_one_by_one(queue.workers, arrived, np.cumsum(part_ms)[exits], given_up)
    factors, parts = queue.factors().tolist(), part_ms.tolist()
    times, wanted, limits = arrived.tolist(), exits.tolist(), given_up.tolist()
    count, most, wait = len(times), queue.max_batch, queue.wait_ms
    begun, answered, sizes, busy = [NEVER] * count, [NEVER] * count, [0] * count, []
    free = [0.0] * queue.workers
    head, waiting, now = 0, deque[int](), 0.0
    while head < count or waiting:
        if not waiting:
            now = max(now, times[head])
        now = max(now, free[0])
        while head < count and times[head] <= now:
            waiting.append(head)
            head += 1
        batch: list[int] = []  # those that wait at this moment, as many as one batch takes
        while waiting and len(batch) < most:
            if limits[first := waiting.popleft()] > now:
                batch.append(first)
        if not batch:
            continue
        if len(batch) < most and now < times[batch[0]] + wait:  # whoever gives up meanwhile can only make it later
            filling = head + most - len(batch) - 1
            now = min(times[filling] if filling < count else float("inf"), times[batch[0]] + wait)
            waiting.extendleft(reversed(batch))
            continue
        start = now
        remaining, end = sorted([wanted[each] for each in batch], reverse=True), start
        ends = []
        for part in range(remaining[0] + 1):
            while remaining[-1] < part:
                remaining.pop()
            end += parts[part] * factors[len(remaining)]
            ends.append(end)
        for each in batch:
            begun[each], answered[each], sizes[each] = start, ends[wanted[each]], len(batch)
        heapreplace(free, end)
        busy.append((start, end))
    return _served(begun, answered, sizes, busy)


def serve_one_by_one(
    workers: int, arrived: NDArray[np.float64], work: NDArray[np.float64], given_up: NDArray[np.float64]
) -> Served:
    """Return when samples are answered by workers that take one at a time, whose work in ms is given [S]."""
    begun, answered, sizes, busy = [], [], [], []
    free = [0.0] * workers
    heapify(free)
    for time, needed, limit in zip(arrived.tolist(), work.tolist(), given_up.tolist(), strict=True):
        start = time if time > free[0] else free[0]
        if start >= limit:
            begun.append(NEVER)
            answered.append(NEVER)
            sizes.append(0)
            continue
        end = start + needed
        heapreplace(free, end)
        begun.append(start)
        answered.append(end)
        sizes.append(1)
        busy.append((start, end))
    return _served(begun, answered, sizes, busy)


def _served(begun: list[float], answered: list[float], sizes: list[int], busy: list[tuple[float, float]]) -> Served:
    return Served(
        begun=np.array(begun),
        answered=np.array(answered),
        sizes=np.array(sizes, dtype=np.int64),
        busy=np.array(busy, dtype=np.float64).reshape(-1, 2),
    )

"""Timing in rounds: parts take turns, disturbed runs are rejected, and contradictions are timed again."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from eenas.measurement.device_lock import device_lock
from eenas.measurement.devices import device_name
from eenas.measurement.latency import Latency, LatencySpec, summarise, torch_runtime
from eenas.measurement.node import node_name
from eenas.measurement.stopwatch import SLACK_MS, Run, Stopwatch, TimedRun, torch_threads

LEAST_REPEATS = 3
"""The least number of timed runs, even if the first one uses up the time, and of accepted runs."""

PATIENCE = 3
"""The factor on the limits of a measurement with too few accepted runs."""

FAR = 1.25
"""A run that takes more than this many times the lower quartile is an outlier."""

WARM, WARM_MS = 3, 1.0
"""The largest number of warm-up runs of a part after other parts ran, and the time that ends them."""

EXACT_MS = 0.002
"""A median is accurate enough if the interquartile range over the root of the number of runs is at most this."""

TOLERANCE, TOLERANCE_MS = 1.05, 0.01
"""The factor and the time by which a shorter prefix may exceed a longer one without a contradiction."""

RETRIES = 2
"""How often a contradiction is timed again before it is kept and marked."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part to time. `open` returns the run, which is released afterwards; `runtime` is the name of its runtime.

    `before` runs before each run and is not timed. By default the part itself runs if others ran in between, so that
    the processor's caches are in the state of repeated calls. A `cold` part uses the caches as the previous part left
    them. `size` is the memory in bytes that the part takes while it is open. The runs of a part that `varies` differ in
    their computation, so long runs are no outliers.
    """

    open: Callable[[], Run]
    runtime: str = ""
    before: Run | None = None
    size: int = 0
    varies: bool = False
    cold: bool = False


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The settings of timing: on `device`, under its lock, by `spec`. See `Stopwatch` for `host_clock`.

    At most `most_bytes` of parts are open at once; the others wait for their turn.
    """

    device: torch.device
    spec: LatencySpec
    host_clock: bool = False
    most_bytes: int = 2**29

    def measure(self, parts: Sequence[Part], *, rising: Sequence[int] = ()) -> tuple[Latency, ...]:
        """Return the latency of each part. The parts `rising` (indices) contain each other in this order.

        Runs that had to wait for the processor are rejected, then outliers; the latency is the median of the rest. If
        too few are left, the limits are extended. If that does not help, the CPU time is used with one thread, else the
        lower half of the wall times, and the latency is marked as doubtful. A latency that still contradicts its
        neighbours after it was timed again is marked too. Exceptions of a run propagate.
        """
        found: list[Latency | None] = [None] * len(parts)
        for group in _groups(parts, self.most_bytes):
            self._into(found, parts, group)
        for turn in range(RETRIES + 1):
            wrong = sorted({index for pair in _falling(found, rising) for index in pair})
            if not wrong:
                break
            if turn < RETRIES:
                self._into(found, parts, wrong)
            else:
                for index in wrong:
                    found[index] = replace(_known(found[index]), doubtful=True)
        return tuple(_known(each) for each in found)

    def _into(self, found: list[Latency | None], parts: Sequence[Part], group: Sequence[int]) -> None:
        """Time a group of parts in turns."""
        chosen = [parts[index] for index in group]
        runs = [part.open() for part in chosen]
        watch = Stopwatch(self.device, self.spec.threads or 1, host_clock=self.host_clock)
        with device_lock(self.device), torch_threads(self.spec.threads or 1):
            samples = self._rounds(chosen, runs, watch)
        for index, part, each in zip(group, chosen, samples, strict=True):
            found[index] = self._latency(part, each, watch)

    def _rounds(self, parts: Sequence[Part], runs: Sequence[Run], watch: Stopwatch) -> list[list[TimedRun]]:
        spec, limit = self.spec, self.spec.seconds * len(parts)
        start = time.perf_counter()

        def turn(part: Part, run: Run) -> TimedRun:
            if part.before is not None:
                part.before()
            elif len(parts) > 1 and not part.cold:
                _warm(run)
            return watch.time(run)

        for done in range(max(spec.warmup, 1)):
            if done and time.perf_counter() - start > limit / 2:
                break
            for part, run in zip(parts, runs, strict=True):
                turn(part, run)
        samples: list[list[TimedRun]] = [[] for _ in parts]
        open_ = list(range(len(parts)))
        while open_:
            for index in range(len(parts)):
                if index in open_ or any(part.cold for part in parts):  # a cold part needs the others before it
                    samples[index].append(turn(parts[index], runs[index]))
            seconds = (time.perf_counter() - start) / len(parts)
            open_ = [index for index in open_ if not self._enough(samples[index], seconds)]
        return samples

    def _enough(self, samples: Sequence[TimedRun], seconds: float) -> bool:
        """Whether a part is done: time or repeats are used up, or the spread (checked every fifth run) is small."""
        spec, count = self.spec, len(samples)
        if count < min(LEAST_REPEATS, spec.max_repeats):
            return False
        if count >= spec.max_repeats or seconds >= spec.seconds:
            spent = count >= PATIENCE * spec.max_repeats or seconds >= PATIENCE * spec.seconds
            return spent or bool(accepted_times(samples, varied=True))
        if count < spec.min_repeats or (count - spec.min_repeats) % 5:
            return False
        times = accepted_times(samples)
        if len(times) < min(count // 2, spec.min_repeats):
            return False
        median, _, spread = summarise(times)
        return spread <= spec.spread or spread * median / math.sqrt(len(times)) <= EXACT_MS

    def _latency(self, part: Part, samples: Sequence[TimedRun], watch: Stopwatch) -> Latency:
        times = accepted_times(samples, varied=part.varies)
        is_doubtful = not times
        if is_doubtful:
            if watch.counts_cpu:
                times = without_outliers([sample.cpu_ms for sample in samples if sample.cpu_ms is not None])
            else:
                walls = sorted(sample.wall_ms for sample in samples)
                times = walls[: max(len(walls) // 2, 1)]
        median, p95, spread = summarise(times)
        low, high = (median, median) if len(times) == 1 else _quartiles(times)
        return Latency(
            median_ms=median,
            p95_ms=p95,
            spread=spread,
            repeats=len(times),
            device=device_name(self.device),
            runtime=part.runtime or torch_runtime(),
            threads=self.spec.threads or 1,
            batch=self.spec.batch,
            dtype=self.spec.dtype,
            low_ms=low,
            high_ms=max(sample.wall_ms for sample in samples) if is_doubtful else high,
            rejected=len(samples) - len(times),
            doubtful=is_doubtful,
            node=node_name(),
        )


def accepted_times(samples: Sequence[TimedRun], *, varied: bool = False) -> list[float]:
    """Return the accepted wall times in ms: undisturbed runs without outliers. Empty if there are too few.

    If there are enough runs without involuntary context switches, only these are used. Otherwise all runs are used that
    lost no time by them. `varied` keeps outliers.
    """
    undisturbed = [sample for sample in samples if not sample.is_disturbed]
    unswitched = [sample for sample in undisturbed if not sample.switches]
    least = min(LEAST_REPEATS, len(samples))
    chosen = unswitched if len(unswitched) >= max(least, len(samples) // 4) else undisturbed
    if len(chosen) < least:
        return []
    times = [sample.wall_ms for sample in chosen]
    return times if varied else without_outliers(times)


def without_outliers(times: Sequence[float]) -> list[float]:
    """Return the times up to FAR times the lower quartile plus SLACK_MS."""
    if len(times) < 2:
        return list(times)
    limit = FAR * _quartiles(times)[0] + SLACK_MS
    return [each for each in times if each <= limit]


def measure_latency(
    run: Run,
    *,
    device: torch.device,
    spec: LatencySpec,
    runtime: str | None = None,
    host_clock: bool = False,
    before: Run | None = None,
    varies: bool = False,
) -> Latency:
    """Time one `run` alone; see `Rounds` and `Part`.

    `run` must have the batch and type of `spec`, which is not checked. Exceptions of `run` propagate.
    """
    part = Part(open=lambda: run, runtime=runtime or torch_runtime(), before=before, varies=varies)
    return Rounds(device=device, spec=spec, host_clock=host_clock).measure([part])[0]


def measure_beside(part: Part, plain: Run, rounds: Rounds, runtime: str, way: Run | None = None) -> Latency:
    """Time a branch in turns with the plain backbone, and store the backbone's time in the result.

    Before each timed run, `way` (the path to the branch), the branch and `way` again are run, so that the processor's
    caches are in the state of a network that answers repeatedly. Without `way` the branch itself is run.
    """
    run = part.open()

    def before() -> None:
        assert way is not None
        way()
        run()
        way()

    branch = replace(part, open=lambda: run, before=None if way is None else before)
    reference, found = rounds.measure([Part(open=lambda: plain, runtime=runtime, cold=True), branch])
    return replace(found, reference_ms=reference.median_ms, doubtful=found.doubtful or reference.doubtful)


def _warm(run: Run) -> None:
    """Run a part until its data are back in the processor's caches; a long part runs once."""
    start = time.perf_counter()
    for _ in range(WARM):
        run()
        if 1000 * (time.perf_counter() - start) >= WARM_MS:
            break


def _groups(parts: Sequence[Part], most_bytes: int) -> list[list[int]]:
    """Return the indices of the parts, in order, in groups that fit in memory together."""
    groups: list[list[int]] = [[]]
    size = 0
    for index, part in enumerate(parts):
        if groups[-1] and size + part.size > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append(index)
        size += part.size
    return groups


def _falling(found: Sequence[Latency | None], rising: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of parts in which the containing part took less time."""
    return [
        (one, other)
        for one, other in pairwise(rising)
        if _known(found[one]).median_ms > TOLERANCE * _known(found[other]).median_ms + TOLERANCE_MS
    ]


def _known(latency: Latency | None) -> Latency:
    assert latency is not None
    return latency


def _quartiles(times: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=4, method="inclusive")
    return cuts[0], cuts[2]

"""Rounds: parts are timed in turns, what other load disturbed is not believed, and contradictions are timed again."""

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
from eenas.measurement.stopwatch import SLACK_MS, Run, Sample, Stopwatch, working_threads

LEAST_REPEATS = 3
"""How often a run is timed even when the first one has used the time up, and how many have to be believed."""

PATIENCE = 3
"""How many times its limits a measurement takes where too few of its runs are believed."""

FAR = 1.25
"""A run that took so many times the lower quartile of those beside it is an outlier."""

WARM, WARM_MS = 3, 1.0
"""How often a part is run before it is timed where others ran in between, and after how long no more."""

EXACT_MS = 0.002
"""A median is known well enough whose interquartile range, over the root of its runs, is this small."""

TOLERANCE, TOLERANCE_MS = 1.05, 0.01
"""How much more than a longer way a shorter one may take before that is a contradiction."""

RETRIES = 2
"""How often a contradiction is timed again before it is kept and marked."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something to time: `open` gives the run, which is let go afterwards; `runtime` names what runs it.

    `before` is run before each run and not timed; by default the part itself, where others ran in between, so that it
    finds in the processor's caches what it finds there when it is asked again and again. One that is `cold` finds what
    the part before it left. `size` is the memory in bytes that it takes while it is open. Where a part `varies`, its
    runs differ by what they compute, and a long one is no outlier.
    """

    open: Callable[[], Run]
    runtime: str = ""
    before: Run | None = None
    size: int = 0
    varies: bool = False
    cold: bool = False


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How parts are timed: on `device`, alone on it (a lock), as `spec` says; see `Stopwatch` for `host_clock`.

    Not more than `most_bytes` of parts are open at once; the others wait for their turn.
    """

    device: torch.device
    spec: LatencySpec
    host_clock: bool = False
    most_bytes: int = 2**29

    def measure(self, parts: Sequence[Part], *, rising: Sequence[int] = ()) -> tuple[Latency, ...]:
        """The latency of each part. The parts `rising`, by index, contain each other in this order.

        Runs that had to wait for the processor are thrown out, and outliers among the rest; the median of what is left
        counts. Where too little is left, the limits are stretched; then the CPU time counts where one thread works,
        else the lower quartile, and the latency is marked as doubtful. So is one that still contradicts its neighbours
        after it was timed again. What a run raises is not caught.
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
        with device_lock(self.device), working_threads(self.spec.threads or 1):
            samples = self._rounds(chosen, runs, watch)
        for index, part, each in zip(group, chosen, samples, strict=True):
            found[index] = self._latency(part, each, watch)

    def _rounds(self, parts: Sequence[Part], runs: Sequence[Run], watch: Stopwatch) -> list[list[Sample]]:
        spec, limit = self.spec, self.spec.seconds * len(parts)
        start = time.perf_counter()

        def turn(part: Part, run: Run) -> Sample:
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
        samples: list[list[Sample]] = [[] for _ in parts]
        open_ = list(range(len(parts)))
        while open_:
            for index in range(len(parts)):
                if index in open_ or any(part.cold for part in parts):  # what is cold needs the others before it
                    samples[index].append(turn(parts[index], runs[index]))
            seconds = (time.perf_counter() - start) / len(parts)
            open_ = [index for index in open_ if not self._enough(samples[index], seconds)]
        return samples

    def _enough(self, samples: Sequence[Sample], seconds: float) -> bool:
        """Whether a part is done: time or repeats are used up, or the spread (looked at every fifth time) is small."""
        spec, count = self.spec, len(samples)
        if count < min(LEAST_REPEATS, spec.max_repeats):
            return False
        if count >= spec.max_repeats or seconds >= spec.seconds:
            spent = count >= PATIENCE * spec.max_repeats or seconds >= PATIENCE * spec.seconds
            return spent or bool(believed(samples, varied=True))
        if count < spec.min_repeats or (count - spec.min_repeats) % 5:
            return False
        times = believed(samples)
        if len(times) < min(count // 2, spec.min_repeats):
            return False
        median, _, spread = summarise(times)
        return spread <= spec.spread or spread * median / math.sqrt(len(times)) <= EXACT_MS

    def _latency(self, part: Part, samples: Sequence[Sample], watch: Stopwatch) -> Latency:
        times = believed(samples, varied=part.varies)
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
        )


def believed(samples: Sequence[Sample], *, varied: bool = False) -> list[float]:
    """The wall times in milliseconds that count: of runs that nothing disturbed, less outliers; empty if too few are.

    Runs without an involuntary switch are enough where there are some of them; else those count too that lost no time
    by one. With `varied` there are no outliers.
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
    """The times that are not FAR above the lower quartile, and SLACK_MS above that."""
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

    `run` has the batch and type that `spec` says; nothing here can check it. What `run` raises is not caught.
    """
    part = Part(open=lambda: run, runtime=runtime or torch_runtime(), before=before, varies=varies)
    return Rounds(device=device, spec=spec, host_clock=host_clock).measure([part])[0]


def measure_beside(part: Part, plain: Run, rounds: Rounds, runtime: str, way: Run | None = None) -> Latency:
    """A branch in turns with the plain backbone, with what that took.

    Before it is timed the `way` to it is run, the branch, and the way again, so that it finds in the processor's caches
    what it finds in a network that answers there time after time; without a way, what it leaves there itself.
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
    """Run a part as often as its own data need to be back in the processor's caches, a long one once."""
    start = time.perf_counter()
    for _ in range(WARM):
        run()
        if 1000 * (time.perf_counter() - start) >= WARM_MS:
            break


def _groups(parts: Sequence[Part], most_bytes: int) -> list[list[int]]:
    """The indices of the parts, in order, in groups that may be open together."""
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
    """Pairs of parts of which the one that contains the other took less."""
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

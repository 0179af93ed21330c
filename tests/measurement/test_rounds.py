"""Rounds: limits and the stopping rule, rejected runs, contradictions and doubt. Nothing here is timed."""

import json
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.rounds import (
    RETRIES,
    WARM,
    Part,
    Rounds,
    accepted_times,
    measure_beside,
    measure_latency,
    without_outliers,
)
from eenas.measurement.stopwatch import Excluded, Run, Stopwatch, TimedRun

CPU = torch.device("cpu")
SHORT = LatencySpec(warmup=1, min_repeats=20, max_repeats=20, seconds=1e6)


class Clock:
    """Counters that only move when told to: the wall's, the processor's, and that of involuntary switches."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0
        self.runs = self.switches = 0

    def run(self, steps: Callable[[int], float], waits: Callable[[int], float] = lambda _: 0.0) -> Run:
        """A run that works for `steps(number of the run)` seconds and waits for the processor for `waits(...)`."""

        def advance() -> None:
            worked, waited = steps(self.runs), waits(self.runs)
            self.seconds += worked + waited
            self.cpu += worked
            self.switches += waited > 0
            self.runs += 1

        return advance

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch) -> "Clock":
        """A clock in the place of the system's."""
        found = cls()
        monkeypatch.setattr("time.perf_counter", lambda: found.seconds)
        monkeypatch.setattr("time.perf_counter_ns", lambda: round(found.seconds * 1e9))
        monkeypatch.setattr("time.thread_time_ns", lambda: round(found.cpu * 1e9))
        monkeypatch.setattr("eenas.measurement.stopwatch.switch_count", lambda: found.switches)
        return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.installed(monkeypatch)


def test_what_runs_before_is_run_each_time_and_not_timed(clock: Clock) -> None:
    run, before = clock.run(lambda n: 0.002), clock.run(lambda n: 0.1)
    spec = LatencySpec(warmup=2, min_repeats=5, max_repeats=5, seconds=100.0)
    assert measure_latency(run, device=CPU, spec=spec, before=before).median_ms == pytest.approx(2.0)
    assert clock.runs == 2 * (2 + 5)


def test_steady_runs_stop_at_the_least_number(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda _: 0.001), device=CPU, spec=LatencySpec(warmup=4))
    assert (found.repeats, found.median_ms, found.p95_ms, found.spread) == (20, 1.0, 1.0, 0.0)
    assert clock.runs == 4 + 20


def test_warm_up_does_not_count(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda n: 0.1 if n < 3 else 0.002), device=CPU, spec=LatencySpec(warmup=3))
    assert found.p95_ms == pytest.approx(2.0)


def test_unsteady_runs_go_on_to_the_most(clock: Clock) -> None:
    found = measure_latency(
        clock.run(lambda n: 0.001 * (1 + 0.1 * (n % 3))), device=CPU, spec=LatencySpec(max_repeats=63)
    )
    assert found.repeats == 63
    assert found.spread > 0.05


def test_runs_that_become_steady_stop_between(clock: Clock) -> None:
    noisy = clock.run(lambda n: 0.001 * (1 + (0.2 * (n % 2) if n < 20 else 0)))
    found = measure_latency(noisy, device=CPU, spec=LatencySpec(warmup=0))
    assert 20 < found.repeats < 200
    assert found.spread <= 0.05


@pytest.mark.parametrize(("each", "repeats"), [(0.3, 5), (5.0, 3)])
def test_seconds_bound_the_whole_but_three_are_timed(clock: Clock, each: float, repeats: int) -> None:
    found = measure_latency(clock.run(lambda _: each), device=CPU, spec=LatencySpec(seconds=2.0, warmup=2))
    assert found.repeats == repeats


def test_conditions_are_kept_and_threads_put_back() -> None:
    before = torch.get_num_threads()
    seen = set()
    spec = LatencySpec(warmup=1, min_repeats=2, max_repeats=3, seconds=0.5, threads=2, batch=4)
    found = measure_latency(lambda: seen.add(torch.get_num_threads()), device=CPU, spec=spec, runtime="a runtime")
    assert seen == {2}
    assert torch.get_num_threads() == before
    assert (found.threads, found.batch, found.dtype, found.runtime) == (2, 4, "float32", "a runtime")
    assert found.device.startswith("CPU: ")
    assert found.conditions.endswith(", 2 threads, batch 4, float32, a runtime")
    assert Latency.from_table(json.loads(json.dumps(found.to_table()))) == found
    assert specs.from_table(Latency, specs.to_table(found)) == found


def test_threads_and_lock_come_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        measure_latency(lambda: 1 / 0, device=CPU, spec=LatencySpec(threads=2))
    assert torch.get_num_threads() == before
    measure_latency(lambda: None, device=CPU, spec=LatencySpec(warmup=0, min_repeats=1, max_repeats=1))


def test_one_thread_is_the_default() -> None:
    spec = LatencySpec(warmup=0, min_repeats=1, max_repeats=1)
    assert measure_latency(lambda: None, device=CPU, spec=spec).threads == 1


def parts(*runs: Run) -> list[Part]:
    return [Part(open=lambda run=run: run) for run in runs]  # type: ignore[misc]


def test_runs_that_waited_for_the_processor_do_not_count(clock: Clock) -> None:
    run = clock.run(lambda n: 0.002, waits=lambda n: 0.03 if n % 2 else 0.0)
    found = measure_latency(run, device=CPU, spec=SHORT)
    assert (found.median_ms, found.p95_ms, found.repeats, found.rejected) == (2.0, 2.0, 10, 10)
    assert not found.doubtful
    assert (found.low_ms, found.high_ms) == (2.0, 2.0)


def test_a_slow_period_that_no_clock_sees_is_an_outlier(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda n: 0.002 if n < 12 else 0.005), device=CPU, spec=SHORT)
    assert (found.median_ms, found.rejected, found.doubtful) == (2.0, 9, False)


def test_runs_that_differ_by_themselves_have_no_outliers(clock: Clock) -> None:
    run = clock.run(lambda n: 0.002 if n % 3 else 0.02)
    spread = [measure_latency(run, device=CPU, spec=SHORT, varies=varies).p95_ms for varies in (False, True)]
    assert spread == pytest.approx([2.0, 20.0])


def test_a_machine_that_is_never_quiet_gives_its_cpu_time_its_interval_and_doubt(clock: Clock) -> None:
    spec = LatencySpec(warmup=1, min_repeats=5, max_repeats=20, seconds=1e6)
    found = measure_latency(clock.run(lambda n: 0.004, waits=lambda n: 0.001 * (n + 1)), device=CPU, spec=spec)
    assert found.doubtful
    assert found.median_ms == pytest.approx(4.0)
    assert found.rejected + found.repeats == 3 * 20  # it was given three times its limit
    assert found.high_ms == pytest.approx(4 + 61)
    assert found.low_ms == pytest.approx(4.0)


def test_several_threads_fall_back_on_the_quicker_half(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.process_time_ns", lambda: round(clock.cpu * 1e9))
    spec = LatencySpec(warmup=1, min_repeats=2, max_repeats=4, seconds=1e6, threads=2)
    found = measure_latency(clock.run(lambda n: 0.004, waits=lambda n: 0.001 * n), device=CPU, spec=spec)
    assert found.doubtful
    assert found.median_ms == pytest.approx(4 + 3.5)  # of 12 runs with waits of 1 to 12 ms the first six


def test_parts_are_timed_in_turns_each_after_a_run_that_does_not_count(clock: Clock) -> None:
    order: list[str] = []
    runs = [lambda name=name: order.append(name) for name in "ab"]  # type: ignore[misc]
    Rounds(device=CPU, spec=LatencySpec(warmup=1, min_repeats=2, max_repeats=2)).measure(parts(*runs))
    assert "".join(order) == ("a" * (WARM + 1) + "b" * (WARM + 1)) * 3


def test_a_branch_runs_after_the_way_to_it_beside_the_backbone_that_tells_a_slow_period(clock: Clock) -> None:
    order: list[str] = []

    def heard(name: str, seconds: float) -> Run:
        run = clock.run(lambda n: seconds)
        return lambda: (order.append(name), run())

    rounds = Rounds(device=CPU, spec=LatencySpec(warmup=1, min_repeats=2, max_repeats=2))
    branch, plain, way = parts(heard("branch ", 0.001))[0], heard("backbone ", 0.01), heard("way ", 0.002)
    found = measure_beside(branch, plain, rounds, "torch", way)
    assert "".join(order) == "backbone way branch way branch " * 3
    assert (found.median_ms, found.reference_ms) == (pytest.approx(1.0), pytest.approx(10.0))


def test_a_prefix_that_is_dearer_than_a_longer_one_is_timed_again(clock: Clock) -> None:
    opened = [0]

    def flawed() -> Run:
        opened[0] += 1
        return clock.run(lambda n: 0.005 if opened[0] == 1 else 0.001)

    longer = Part(open=lambda: clock.run(lambda n: 0.002))
    short, long = Rounds(device=CPU, spec=SHORT).measure([Part(open=flawed), longer], rising=(0, 1))
    assert opened == [2]
    assert (short.median_ms, long.median_ms) == (pytest.approx(1.0), pytest.approx(2.0))
    assert not short.doubtful
    assert not long.doubtful


def test_a_contradiction_that_stays_is_marked_and_others_are_not(clock: Clock) -> None:
    opened = [0]

    def flawed() -> Run:
        opened[0] += 1
        return clock.run(lambda n: 0.005)

    rest = parts(clock.run(lambda n: 0.002), clock.run(lambda n: 0.006), clock.run(lambda n: 0.001))
    found = Rounds(device=CPU, spec=SHORT).measure([Part(open=flawed), *rest], rising=(0, 1, 2))
    assert opened == [1 + RETRIES]
    assert [each.doubtful for each in found] == [True, True, False, False]


def test_no_more_is_open_at_once_than_fits(clock: Clock) -> None:
    now, most = [0], [0]

    class Opened:
        def __init__(self) -> None:
            now[0] += 1
            most[0] = max(most[0], now[0])

        def __call__(self) -> None:
            pass

        def __del__(self) -> None:
            now[0] -= 1

    rounds = Rounds(device=CPU, spec=LatencySpec(min_repeats=1, max_repeats=1), most_bytes=100)
    found = rounds.measure([Part(open=Opened, size=40) for _ in range(6)])
    assert len(found) == 6
    assert most[0] <= 3  # two of a group, and the last of the group before


def test_what_runs_apart_is_taken_off(clock: Clock) -> None:
    apart, inner, outer = Excluded(), clock.run(lambda n: 0.5), clock.run(lambda n: 0.001)

    def run() -> Excluded:
        apart.reset()
        outer()
        apart(inner)
        return apart

    sample = Stopwatch(CPU, 1).time(run)
    assert (sample.wall_ms, sample.cpu_ms) == (pytest.approx(1.0), pytest.approx(1.0))


def test_switches_that_cost_nothing_count_where_there_is_little_else() -> None:
    switched, quiet = TimedRun(2.0, 2.0, 1), TimedRun(1.0, 1.0)
    assert accepted_times([switched] * 5) == [2.0] * 5
    assert accepted_times([switched] * 5 + [quiet] * 3) == [1.0] * 3
    assert accepted_times([quiet] * 2 + [TimedRun(9.0, 1.0, 1)] * 9) == []
    assert accepted_times([TimedRun(2.0)] * 3) == [2.0] * 3  # a device that has no CPU time


@given(st.lists(st.floats(0.01, 1e3), min_size=1, max_size=40))
def test_outliers_are_never_the_quickest(times: list[float]) -> None:
    kept = without_outliers(times)
    assert min(kept) == min(times)
    assert len(kept) * 4 >= len(times)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_times_the_device_and_the_host() -> None:
    device = torch.device("cuda", 0)
    x = torch.randn(2048, 2048, device=device)
    spec = LatencySpec(seconds=0.5)
    by_events = measure_latency(lambda: x @ x, device=device, spec=spec)
    by_host = measure_latency(lambda: (x @ x).sum().item(), device=device, spec=spec, host_clock=True)
    assert by_events.median_ms > 0
    assert by_host.median_ms > 0
    assert by_events.device == torch.cuda.get_device_name(device)


def test_a_median_that_is_known_well_enough_ends_sooner(clock: Clock) -> None:
    run = clock.run(lambda n: 1e-5 * (3 + 0.5 * (n % 3)))  # 30, 35, 40 microseconds
    found = measure_latency(run, device=CPU, spec=LatencySpec())
    assert found.repeats < 40
    assert found.spread > 0.05

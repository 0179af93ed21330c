"""Timing: its limits, its stopping rule and the conditions it writes down. No test asserts how fast anything is."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.errors import MeasurementError, SpecError
from eenas.measurement import latency as timing
from eenas.measurement.device_lock import device_lock, lock_file
from eenas.measurement.latency import Latency, LatencySpec, measure_difference, measure_latency, summarise

CPU = torch.device("cpu")


class Clock:
    """A counter that only moves when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.runs = 0

    def run(self, steps: Callable[[int], float]) -> Callable[[], None]:
        """A run that takes `steps(number of the run)` seconds."""

        def advance() -> None:
            self.seconds += steps(self.runs)
            self.runs += 1

        return advance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: found.seconds)
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: round(found.seconds * 1e9))
    return found


def test_a_difference_is_of_medians_and_may_be_negative(clock: Clock) -> None:
    slow, quick = clock.run(lambda n: 0.005), clock.run(lambda n: 0.002)
    assert measure_difference(slow, quick, device=CPU, spec=LatencySpec()) == pytest.approx(3.0)
    assert measure_difference(quick, slow, device=CPU, spec=LatencySpec()) == pytest.approx(-3.0)


def test_what_runs_before_is_run_each_time_and_not_timed(clock: Clock) -> None:
    run, before = clock.run(lambda n: 0.002), clock.run(lambda n: 0.1)
    spec = LatencySpec(warmup=2, min_repeats=5, max_repeats=5, seconds=100.0)
    assert measure_latency(run, device=CPU, spec=spec, before=before).median_ms == pytest.approx(2.0)
    assert clock.runs == 2 * (2 + 5)


def test_onnxruntime_is_measured_in_float32_only() -> None:
    with pytest.raises(SpecError, match=r"study.toml: \[latency\]: .* got dtype 'bfloat16'; set latency.dtype to"):
        specs.from_table(LatencySpec, {"runtime": "onnxruntime", "dtype": "bfloat16"}, file="study.toml", key="latency")
    assert LatencySpec(runtime="onnxruntime").dtype == "float32"


def test_steady_runs_stop_at_the_least_number(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda _: 0.001), device=CPU, spec=LatencySpec(warmup=4))
    assert (found.repeats, found.median_ms, found.p95_ms, found.spread) == (20, 1.0, 1.0, 0.0)
    assert clock.runs == 4 + 20


def test_warm_up_does_not_count(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda n: 0.1 if n < 3 else 0.002), device=CPU, spec=LatencySpec(warmup=3))
    assert found.p95_ms == pytest.approx(2.0)


def test_unsteady_runs_go_on_to_the_most(clock: Clock) -> None:
    found = measure_latency(clock.run(lambda n: 0.001 * (1 + n % 4)), device=CPU, spec=LatencySpec(max_repeats=63))
    assert found.repeats == 63
    assert found.spread > 0.05


def test_runs_that_become_steady_stop_between(clock: Clock) -> None:
    noisy = clock.run(lambda n: 0.001 * (1 + (n % 2 if n < 20 else 0)))
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


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"min_repeats": 9, "max_repeats": 8}, r"max_repeats must be at least min_repeats \(9\), got 8"),
        ({"seconds": 0.0}, "must be positive"),
        ({"dtype": "float64"}, "nearest: 'float16'|unknown value 'float64'"),
        ({"repeats": 3}, "unknown key"),
    ],
)
def test_bad_settings_are_refused(table: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        specs.from_table(LatencySpec, table)


def test_a_foreign_table_is_refused() -> None:
    with pytest.raises(MeasurementError, match="not a measured latency"):
        Latency.from_table({"median_ms": 1.0})


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=50))
def test_summary_agrees_with_numpy(times: list[float]) -> None:
    median, p95, spread = summarise(times)
    low, middle, high, top = np.percentile(times, [25, 50, 75, 95])
    assert (median, p95) == (pytest.approx(middle), pytest.approx(top))
    assert spread == pytest.approx((high - low) / middle, abs=1e-9)


def test_the_lock_lets_one_thread_in_at_a_time() -> None:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(20):
            with device_lock(CPU):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    workers = [threading.Thread(target=enter) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == 1


_HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
import torch
from eenas.measurement.device_lock import device_lock
with device_lock(torch.device("cpu")):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_the_lock_holds_among_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with lock_file(CPU).open() as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.stdin.write("leave\n")
        process.stdin.flush()
        with device_lock(CPU):
            pass
    assert process.returncode == 0


def test_a_lock_that_cannot_be_made_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(MeasurementError, match="set TMPDIR to a writable folder"), device_lock(CPU):
        pass


def test_devices_have_locks_of_their_own() -> None:
    names = [lock_file(torch.device(name)).name for name in ("cpu", "cuda:0", "cuda:1")]
    assert names == ["eenas-cpu-0.lock", "eenas-cuda-0.lock", "eenas-cuda-1.lock"]


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

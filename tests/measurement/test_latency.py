"""Latencies as values, their settings, and the lock of a device."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from eenas import specs
from eenas.errors import MachineError, MeasurementError, SpecError
from eenas.measurement.device_lock import device_lock, lock_file
from eenas.measurement.latency import Latency, LatencySpec, place_of, summarise

CPU = torch.device("cpu")


def test_onnxruntime_is_measured_in_float32_only() -> None:
    with pytest.raises(SpecError, match=r"study.toml: \[latency\]: .* got dtype 'bfloat16'; set latency.dtype to"):
        specs.from_table(LatencySpec, {"runtime": "onnxruntime", "dtype": "bfloat16"}, file="study.toml", key="latency")
    assert LatencySpec(runtime="onnxruntime").dtype == "float32"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"threads": 0}, "threads must be from 1 to 4,096, got 0"),
        ({"threads": 10**6}, "threads must be from 1 to 4,096, got 1000000"),
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
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError):
            FileLock(lock_file(CPU)).acquire(timeout=0)
        process.stdin.write("leave\n")
        process.stdin.flush()
        with device_lock(CPU):
            pass
    assert process.returncode == 0


def test_a_lock_that_cannot_be_made_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(MachineError, match="set TMPDIR to a writable folder"), device_lock(CPU):
        pass


def test_devices_have_locks_of_their_own() -> None:
    names = [lock_file(torch.device(name)).name for name in ("cpu", "cuda:0", "cuda:1")]
    assert names == ["eenas-cpu-0.lock", "eenas-cuda-0.lock", "eenas-cuda-1.lock"]


def test_a_latency_says_its_interval_and_reads_older_tables() -> None:
    table = {
        "median_ms": 2.0, "p95_ms": 3.0, "spread": 0.1, "repeats": 9, "device": "CPU: a board",
        "runtime": "torch 2, eager", "threads": 1, "batch": 1, "dtype": "float32",
    }  # fmt: skip
    older = Latency.from_table(table)
    assert (older.interval, older.doubtful, older.rejected, place_of(older)) == (
        "2 to 2 ms", False, 0, "CPU: a board in eager torch",
    )  # fmt: skip
    newer = Latency.from_table({**table, "low_ms": 1.5, "high_ms": 40.25, "doubtful": True, "rejected": 3})
    assert newer.interval == "1.5 to 40.2 ms"
    assert Latency.from_table(json.loads(json.dumps(newer.to_table()))) == newer

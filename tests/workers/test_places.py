"""Where workers run: a GPU each if there are some, and their share of the cores."""

import os

import pytest
import torch

from eenas.errors import DeviceError
from eenas.workers import places as module
from eenas.workers.places import WorkerPlace, free_memory, places, sharing


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(module, "core_count", lambda: 8)
    monkeypatch.setattr(module, "free_memory", lambda: 16 << 30)
    for name in module.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_gpu_one_worker_is_the_default_and_several_share_the_cores():
    assert places(None, "auto") == (WorkerPlace(None, 8),)
    assert places(3, "cpu") == (WorkerPlace(None, 2),) * 3
    assert places(9, "cpu")[0].threads == 1
    text = sharing(places(2, "cpu"), "cpu")
    assert text.startswith("2 workers share 8 cores: 4 threads each, where one worker has 8; latency is measured alone")
    assert "more workers than cores" in sharing(places(9, "cpu"), "cpu")


def test_each_gpu_has_a_worker_and_more_take_turns(four_gpus):
    assert [each.gpu for each in places(None, "auto")] == ["0", "1", "2", "3"]
    assert [each.gpu for each in places(6, "cuda")] == ["0", "1", "2", "3", "0", "1"]
    assert places(None, "cuda:1") == places(None, "cpu") == (WorkerPlace(None, 8),)
    assert sharing(places(None, "auto"), "auto") == "4 workers, each with a GPU of its own; 2 threads each"
    assert "6 workers share 4 GPUs" in sharing(places(6, "auto"), "auto")


def test_gpus_are_those_that_the_process_sees(four_gpus):
    assert module.gpus("auto", {"CUDA_VISIBLE_DEVICES": "GPU-a, GPU-b,3,5"}) == ("GPU-a", "GPU-b", "3", "5")
    assert module.gpus("auto", {"CUDA_VISIBLE_DEVICES": ""}) == ("0", "1", "2", "3")


def test_the_environment_of_a_worker_keeps_what_the_user_set(monkeypatch):
    assert WorkerPlace("2", 4).environment == {**dict.fromkeys(module.THREADS, "4"), "CUDA_VISIBLE_DEVICES": "2"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "OMP_NUM_THREADS" not in WorkerPlace(None, 4).environment
    assert "OMP_NUM_THREADS=1 is kept" in sharing(places(2, "cpu"), "cpu")


@pytest.mark.parametrize("count", [0, -1, 1025, 1.5, True, "two"])
def test_a_number_of_workers_out_of_range_is_refused(count):
    with pytest.raises(DeviceError, match=r"workers must be a whole number from 1 to 1024, got"):
        places(count, "cpu")


def test_cores_are_those_of_this_process(monkeypatch):
    monkeypatch.undo()
    if hasattr(os, "sched_getaffinity"):
        assert module.core_count() == len(os.sched_getaffinity(0))


def test_more_workers_than_the_free_memory_can_hold_are_refused_before_any_starts(monkeypatch):
    assert len(places(64, "cpu")) == 64
    rule = r"1000 workers need at least 250.0 GiB of memory, and 16.0 GiB are free .*; give at most --workers 64, or"
    with pytest.raises(DeviceError, match=rule):
        places(1000, "cpu")
    monkeypatch.setattr(module, "free_memory", lambda: 1 << 20)
    assert len(places(1, "cpu")) == 1
    monkeypatch.setattr(module, "free_memory", lambda: None)
    assert len(places(1000, "cpu")) == 1000


def test_free_memory_is_what_linux_calls_available(tmp_path):
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:       24000000 kB\nMemFree:         1000 kB\nMemAvailable:    2048 kB\n\n")
    assert free_memory(table) == 2048 * 1024
    table.write_text("MemTotal:       24000000 kB\nMemAvailable: many kB\n")
    assert free_memory(table) is None
    assert free_memory(tmp_path / "none") is None

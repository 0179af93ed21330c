"""Trials pause while another process on the machine measures, within a limit, and nobody waits for the dead."""

import os
import signal
import time

import pytest
import torch

from eenas.measurement import pauses
from eenas.measurement.device_lock import at_work, device_lock
from eenas.measurement.pauses import marker_of, pause_point, paused_seconds, work_folder
from eenas.progress import notices_to
from eenas.training.schedule import BudgetClock
from eenas.training.spec import TrainingSpec
from tests.processes import Program

CPU = torch.device("cpu")
TRIAL = """
import sys, tempfile, time, torch
tempfile.tempdir = sys.argv[2]
from eenas.measurement.device_lock import at_work
from eenas.measurement.pauses import pause_point
with at_work(torch.device("cpu")):
    while True:
        print("step", flush=True)
        if sys.argv[1] == "pauses":
            pause_point()
        time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the locks, for this test alone."""
    monkeypatch.setattr("eenas.measurement.device_lock.tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(pauses, "CHECK", 0.0)
    return tmp_path / "eenas-locks"


@pytest.fixture
def trial(tmp_path):
    started = []

    def start(how):
        started.append(Program(TRIAL, how, tmp_path))
        started[-1].wait_for("step", times=3)
        return started[-1]

    yield start
    for each in started:
        each.kill()


def announce(folder, process):
    folder.mkdir(exist_ok=True)
    marker = marker_of(folder, "cpu-0")
    marker.write_text(str(process))
    return marker


@pytest.mark.slow
def test_a_trial_pauses_while_another_process_measures(folder, trial):
    other = trial("pauses")
    with device_lock(CPU):
        before = other.out.count("step")
        time.sleep(0.3)
        assert other.out.count("step") == before
    other.wait_for("step", times=before + 3)
    assert not marker_of(folder, "cpu-0").exists()


def test_a_measurement_starts_beside_a_trial_that_does_not_pause(folder, trial, monkeypatch):
    monkeypatch.setattr(pauses, "SETTLE", 0.1)
    trial("never pauses")
    said = []
    with notices_to(said.append), device_lock(CPU):
        pass
    assert len(said) == 1
    assert "which did not pause within 0.1 s" in said[0].text


def test_a_killed_trial_is_not_waited_for(folder, trial, monkeypatch):
    other = trial("never pauses")
    other.kill()
    start, said = time.monotonic(), []
    with notices_to(said.append), device_lock(CPU):
        assert list(work_folder(folder, "cpu-0").glob("*.lock")) == []
    assert said == []
    assert time.monotonic() - start < pauses.SETTLE


def test_a_suspended_trial_is_not_waited_for(folder, trial):
    other = trial("never pauses")
    other.send(signal.SIGSTOP)
    start, said = time.monotonic(), []
    with notices_to(said.append), device_lock(CPU):
        pass
    other.send(signal.SIGCONT)
    assert said == []
    assert time.monotonic() - start < pauses.SETTLE


def test_a_trial_that_does_not_pause_is_waited_for_once(folder, trial, monkeypatch):
    monkeypatch.setattr(pauses, "SETTLE", 0.1)
    trial("never pauses")
    said = []
    with notices_to(said.append):
        for _ in range(2):
            with device_lock(CPU):
                pass
    assert len(said) == 1


def test_a_dead_measurement_does_not_stop_trials(folder):
    ended = os.fork() if hasattr(os, "fork") else None
    if ended == 0:
        os._exit(0)
    if ended is None:
        pytest.skip("needs a process that has ended")
    os.waitpid(ended, 0)
    marker = announce(folder, ended)
    with at_work(CPU):
        pause_point()
    assert not marker.exists()


def test_a_pause_has_a_limit_and_does_not_count_as_training(folder, monkeypatch):
    monkeypatch.setattr(pauses, "LONGEST", 0.2)
    announce(folder, os.getppid())
    said, start, before = [], time.monotonic(), paused_seconds()
    clock = BudgetClock(TrainingSpec(seconds=10.0), 100)
    with notices_to(said.append), at_work(CPU):
        pause_point()
        paused = paused_seconds() - before
        assert 0.2 <= paused < 5.0
        assert clock.seconds <= time.monotonic() - start - paused
        again = paused_seconds()
        pause_point()  # of the same measurement: it goes on
        assert paused_seconds() - again < 0.1
    assert len(said) == 1
    assert "the trial continues beside it" in said[0].text


def test_a_measurement_within_a_trial_is_its_own_business(folder):
    with at_work(CPU):
        files = list(work_folder(folder, "cpu-0").glob("*.lock"))
        assert [file.stem for file in files] == [str(os.getpid())]
        start = time.monotonic()
        with device_lock(CPU):
            pass
        assert time.monotonic() - start < 5.0
    assert list(work_folder(folder, "cpu-0").glob("*.lock")) == []


def test_trials_on_a_gpu_pause_for_it_and_for_the_cpu(folder):
    with at_work(torch.device("cuda", 1)):
        assert sorted(path.name for path in folder.iterdir()) == ["eenas-cpu-0.trials", "eenas-cuda-1.trials"]


def test_the_points_of_pauses_call_what_waits(folder):
    called = []
    with at_work(CPU, lambda: called.append(1)):
        pause_point()
    pause_point()
    assert called == [1]

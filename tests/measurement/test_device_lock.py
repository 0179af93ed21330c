"""A file is a lock among processes, and whoever waits for one says so."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from eenas.measurement import device_lock as locks
from eenas.measurement.device_lock import acquire, device_lock
from eenas.progress import notices_to

HOLD = """
import os, pathlib, sys
from eenas.measurement.device_lock import acquire
path = pathlib.Path(sys.argv[1])
acquire(os.open(path, os.O_RDWR | os.O_CREAT), path, "it")
print(1, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(path):
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        acquire(handle, path, "it")
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def held(path):
    """Another process that holds the lock of `path`."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "1\n"
        yield holder
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()


def test_a_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(10):
            with locked(tmp_path / "lock"):
                inside.append(1)
                time.sleep(0.002)  # long enough for another to come in, if it could
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 40
    assert max(most) == 1


def test_a_lock_falls_with_its_process(tmp_path):
    with held(tmp_path / "lock") as holder:
        holder.kill()
        holder.wait()
        with locked(tmp_path / "lock"):
            pass


@pytest.mark.parametrize("has_list", [True, False])
def test_who_waits_says_what_for_and_who_holds_it(tmp_path, monkeypatch, has_list):
    monkeypatch.setattr(locks, "SOON", 0.05)
    monkeypatch.setattr("eenas.measurement.device_lock.tempfile.gettempdir", lambda: str(tmp_path))
    if not has_list:
        monkeypatch.setattr(locks, "HELD", tmp_path / "no such list")
    file, said = tmp_path / "eenas-cpu-0.lock", []
    with held(file) as holder:

        def hear(event):
            said.append(event.text)
            holder.stdin.close()

        with notices_to(hear), device_lock(torch.device("cpu")):
            pass
    assert len(said) == 1
    assert said[0].startswith("waiting for the device cpu")
    assert (f"process {holder.pid}" if has_list and os.path.exists("/proc/locks") else "fuser -v") in said[0]
    assert str(file) in said[0]


def test_nothing_is_said_of_a_lock_that_is_free(tmp_path):
    said = []
    with notices_to(said.append), locked(tmp_path / "lock"):
        pass
    assert not said

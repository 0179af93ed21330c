"""A file is a lock among processes, and whoever waits for one says so."""

import contextlib
import os
import subprocess
import sys
import threading

import pytest
import torch

from eenas import locks
from eenas.errors import StorageError
from eenas.locks import locked
from eenas.measurement.device_lock import device_lock
from eenas.progress import heard_by
from eenas.records.artifacts import ArtifactStore


def test_a_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with locked(tmp_path / "lock", "it"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert max(most) == 1


def test_a_lock_falls_with_its_process(tmp_path):
    code = "import os, sys, pathlib, eenas.locks as f\nwith f.locked(pathlib.Path(sys.argv[1]), 'it'): os._exit(9)"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False, timeout=30)
    assert ended.returncode == 9
    with locked(tmp_path / "lock", "it"):
        pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="no lock can be made"), locked(tmp_path / "missing" / "lock", "it"):
        pass


HOLD = """
import eenas.locks, pathlib, sys
with eenas.locks.locked(pathlib.Path(sys.argv[1]), "it"):
    print(1, flush=True)
    sys.stdin.read()
"""


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


@pytest.mark.parametrize("kind", ["study", "device"])
def test_who_waits_says_what_for_and_who_holds_it(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(locks, "SOON", 0.05)
    monkeypatch.setattr("eenas.measurement.device_lock.tempfile.gettempdir", lambda: str(tmp_path))
    device = torch.device("cpu")
    lock = ArtifactStore(tmp_path).lock("mine") if kind == "study" else device_lock(device)
    file = tmp_path / (".mine.lock" if kind == "study" else "eenas-cpu-0.lock")
    said = []
    with held(file) as holder, heard_by(lambda event: (said.append(event.text), holder.stdin.close())), lock:
        pass
    what = "the study 'mine'" if kind == "study" else "the device cpu"
    assert len(said) == 1
    assert said[0].startswith(f"waiting for {what}")
    who = f"process {holder.pid}" if os.path.exists("/proc/locks") else "fuser"
    assert who in said[0]
    assert str(file) in said[0]


def test_waiting_can_be_given_up(tmp_path):
    def give_up():
        raise TimeoutError

    with held(tmp_path / "lock"), pytest.raises(TimeoutError), locked(tmp_path / "lock", "it", meanwhile=give_up):
        pass


def test_nothing_is_said_of_a_lock_that_is_free(tmp_path):
    said = []
    with heard_by(said.append), locked(tmp_path / "lock", "it"):
        pass
    assert not said

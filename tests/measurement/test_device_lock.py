"""A file is a lock among processes, and whoever waits for one says so."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
import time

import pytest
import torch
from filelock import FileLock

from eenas.measurement import device_lock as locks
from eenas.measurement.device_lock import device_lock, locked
from eenas.progress import notices_to

HOLD = """
import pathlib, sys
from eenas.measurement.device_lock import locked
with locked(pathlib.Path(sys.argv[1]), "it"):
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


def test_a_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(10):
            with locked(tmp_path / "lock", "it"):
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
        with locked(tmp_path / "lock", "it"):
            pass


@pytest.mark.parametrize("has_list", [True, False])
def test_who_waits_says_what_for_and_who_holds_it(tmp_path, monkeypatch, has_list):
    monkeypatch.setattr(locks, "SOON", 0.05)
    monkeypatch.setattr("eenas.measurement.device_lock.tempfile.gettempdir", lambda: str(tmp_path))
    if not has_list:
        monkeypatch.setattr(locks, "HELD", tmp_path / "no such list")
    file, said = tmp_path / "eenas-locks" / "eenas-cpu-0.lock", []
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
    with notices_to(said.append), locked(tmp_path / "lock", "it"):
        pass
    assert not said


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of Unix")
def test_every_user_of_the_machine_shares_the_lock(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    file, before = tmp_path / "tmp" / "eenas-locks" / "eenas-cpu-0.lock", os.umask(0o077)
    try:
        with locked(file, "it"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o777
    if os.geteuid() == 0:  # another user's file
        os.chown(file, 4711, 4711)
        os.chown(file.parent, 4711, 4711)
    with held(file), pytest.raises(TimeoutError):
        FileLock(file).acquire(timeout=0)


def test_a_file_system_without_locks_does_not_lock(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with locked(tmp_path / "lock", "it"):
        pass

"""Workers by name: who is gone, as far as this machine can tell."""

import os
import subprocess
import sys
import time

from eenas.records.workers import is_gone, worker_name


def test_who_is_gone_is_known_of_this_machine_only():
    own = worker_name()
    host = own.rpartition(":")[0]
    assert own == f"{host}:{os.getpid()}"
    assert not is_gone(own)
    assert not is_gone("another-machine:1")
    assert not is_gone("no name")
    assert not is_gone(f"{host}:1")
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 30
    while not is_gone(f"{host}:{process.pid}") and time.monotonic() < deadline:  # ended, and not waited for
        time.sleep(0.02)
    assert is_gone(f"{host}:{process.pid}")
    process.wait()
    assert is_gone(f"{host}:{process.pid}")

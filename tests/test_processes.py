"""Whether a process of this machine runs: one that has ended, one that is suspended, and texts that are no number."""

import os
import signal
import subprocess
import sys
import time

import pytest

from eenas.files import remove_stale
from eenas.processes import is_running, is_suspended
from tests.test_files import left_by

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="states of processes are read from /proc")


def sleeper():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def reached(state, process):
    deadline = time.monotonic() + 10
    while not state(str(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


@on_linux
def test_a_process_that_ended_does_not_run_even_before_its_parent_notices():
    with sleeper() as process:
        assert is_running(str(process.pid))
        assert not is_suspended(str(process.pid))
        process.send_signal(signal.SIGSTOP)
        assert reached(is_suspended, process)
        assert is_running(str(process.pid))
        process.kill()
        assert reached(lambda number: not is_running(number), process)  # nobody has waited for it yet
        process.wait()
        assert not is_running(str(process.pid))


@pytest.mark.parametrize("text", ["", "0", "-1", "one", "1 ", "\u0663", "9" * 18, "9" * 5000])
def test_any_text_may_be_given(text):
    assert not is_running(text)
    assert not is_suspended(text)
    assert is_running(str(os.getpid()))


def test_a_temporary_file_with_an_impossible_process_is_abandoned(tmp_path):
    (tmp_path / left_by("9" * 60)).touch()
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []

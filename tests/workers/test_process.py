"""A worker process: a suspended one gives its trial back when it is asked to end, and goes on when it is woken."""

import os
import pickle
import signal
import time
from pathlib import Path

import pytest

from eenas.workers.messages import Ended
from eenas.workers.places import WorkerPlace
from eenas.workers.process import AGAIN, WorkerProcess

pytestmark = pytest.mark.slow
SOON = 60.0


class Job:
    """What takes `seconds` to read, after a file tells that it began, and runs `ending` when it is interrupted."""

    def __init__(self, began, seconds, ending="pass"):
        self.code = (
            f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\n"
            f"try: time.sleep({seconds})\nexcept KeyboardInterrupt: {ending}; raise"
        )

    def __reduce__(self):
        return exec, (self.code,)


def suspended(folder, seconds):
    began = folder / "began"
    worker = WorkerProcess(pickle.dumps(Job(began, seconds)), WorkerPlace(None, 1), folder / "worker-1.log")
    until(began.exists)
    os.kill(worker._process.pid, signal.SIGSTOP)
    until(lambda: Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    return worker


def until(holds):
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end_of(worker):
    found = []
    until(lambda: found.extend(worker.messages()) or found)
    worker.kill()
    worker.wake()  # of a process that is gone: nothing
    return found[-1]


def test_a_suspended_worker_gives_its_trial_back_when_it_is_stopped(tmp_path):
    worker = suspended(tmp_path, 600)
    assert worker.messages() == []
    worker.stop()
    assert end_of(worker) == Ended("stopped")


def test_a_worker_that_gives_its_trial_back_is_not_interrupted_again(tmp_path):
    began, given = tmp_path / "began", tmp_path / "given"
    job = Job(began, 600, f"time.sleep({3 * AGAIN}); pathlib.Path({str(given)!r}).touch()")
    worker = WorkerProcess(pickle.dumps(job), WorkerPlace(None, 1), tmp_path / "worker-1.log")
    until(began.exists)
    worker.stop()
    assert end_of(worker) == Ended("stopped")
    assert given.exists()


def test_a_worker_whose_interrupt_is_swallowed_is_interrupted_again(tmp_path):
    began = tmp_path / "began"
    job = Job(began, 600)
    job.code = (
        "import pathlib, time\nclass Slow:\n  def __del__(self):\n    import pathlib, time\n"
        f"    pathlib.Path({str(began)!r}).touch()\n    time.sleep(600)\nSlow()\ntime.sleep(600)"
    )
    worker = WorkerProcess(pickle.dumps(job), WorkerPlace(None, 1), tmp_path / "worker-1.log")
    until(began.exists)
    worker.stop()
    assert end_of(worker) == Ended("stopped")
    assert "Exception ignored" not in (tmp_path / "worker-1.log").read_text()


def test_a_suspended_worker_goes_on_when_it_is_woken(tmp_path):
    worker = suspended(tmp_path, 0.5)
    time.sleep(1.0)
    assert worker.messages() == []
    worker.wake()
    assert end_of(worker).how == "died"  # the job that it read was none


def test_ctrl_c_inside_a_message_loses_no_place_in_the_stream(tmp_path):
    """The length of a message and the message are two reads; a stream that lost its place is never in order again."""
    worker = WorkerProcess(pickle.dumps(Job(tmp_path / "began", 0)), WorkerPlace(None, 1), tmp_path / "worker-1.log")
    until(worker._inbox.poll)
    real, hits = worker._inbox._recv, []

    def interrupted(*sizes):
        hits.append(sizes)
        if len(hits) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(*sizes)

    worker._inbox._recv = interrupted
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            worker.messages()
    finally:
        signal.signal(signal.SIGINT, before)
    assert end_of(worker).reason  # what the worker said, as it was read
    assert "its process" not in end_of(worker).reason

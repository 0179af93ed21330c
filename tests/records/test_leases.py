"""Leases: one worker makes, the others wait and take; dead holders are followed, sleeping ones come too late."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from eenas.errors import StudyError, TimeOverError
from eenas.progress import Finished, Notice, Started
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.measurements import DatabaseCache
from eenas.records.tables import LEASES
from eenas.records.workers import worker_name

WORKER = """
import os, sys, time
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.measurements import DatabaseCache
storage, seconds = sys.argv[1], float(sys.argv[2])
database = Database(storage)
cache = DatabaseCache(database)
def make():
    kept = cache.get("made")
    if kept is None:
        print("making", flush=True)
        time.sleep(seconds)
        kept = cache.put("made", {"by": os.getpid()})
    return kept["by"]
print(Leases(database, beat=0.1, expiry=1.0).once("it", "making it", make), flush=True)
"""


def start(storage: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, storage, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.split()


def test_of_workers_that_start_together_one_makes_and_all_have_the_same(shared_storage):
    Database(shared_storage)
    workers = [start(shared_storage, 0.5) for _ in range(3)]
    found = [said(worker) for worker in workers]
    assert sorted(len(lines) for lines in found) == [1, 1, 2]
    assert len({lines[-1] for lines in found}) == 1


def test_a_worker_that_waits_says_for_what_and_follows_a_holder_that_was_killed(shared_storage):
    database, heard = Database(shared_storage), []
    holder = start(shared_storage, 60)
    assert holder.stdout.readline() == "making\n"
    timer = threading.Timer(0.5, holder.kill)
    timer.start()
    assert Leases(database, heard.append).once("it", "making it", lambda: "mine") == "mine"
    holder.communicate()
    assert heard[0] == Started("waiting for another worker: making it")
    assert isinstance(heard[1], Notice)
    assert "gone; this one takes over" in heard[1].text
    assert heard[2] == Finished("waiting for another worker: making it")


def test_a_holder_that_sleeps_is_followed_and_takes_what_was_made_when_it_wakes(shared_storage):
    database = Database(shared_storage)
    holder = start(shared_storage, 0.5)
    assert holder.stdout.readline() == "making\n"
    holder.send_signal(signal.SIGSTOP)
    cache = DatabaseCache(database)
    leases = Leases(database, beat=0.1, expiry=1.0)
    assert leases.once("it", "making it", lambda: cache.put("made", {"by": 0})) == {"by": 0}
    holder.send_signal(signal.SIGCONT)
    assert said(holder) == ["0"]


def test_a_lease_is_free_again_after_an_error_and_after_ctrl_c(shared_storage):
    leases = Leases(Database(shared_storage))

    def fail(error):
        raise error

    for error in (StudyError("no"), KeyboardInterrupt(), ValueError("no")):
        with pytest.raises(type(error)):
            leases.once("it", "making it", lambda error=error: fail(error))
    assert leases.once("it", "making it", lambda: leases.once("another", "making another", lambda: 3)) == 3


def test_a_holder_that_shows_life_is_waited_for_beyond_the_expiry(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/eenas.db")
    order: list[str] = []

    def slowly() -> None:
        order.append("began")
        time.sleep(1.0)
        order.append("ended")

    leases = Leases(database, beat=0.05, expiry=0.4)
    thread = threading.Thread(target=lambda: leases.once("it", "making it", slowly))
    thread.start()
    while not order:
        time.sleep(0.01)
    leases.once("it", "making it", lambda: order.append("second"))
    thread.join()
    assert order == ["began", "ended", "second"]


def test_a_waiting_worker_says_who_is_stuck_and_a_released_lease_goes_to_the_next(shared_storage):
    database, heard, order = Database(shared_storage), [], []
    holds, wakes = threading.Event(), threading.Event()

    def stuck() -> None:
        order.append("stuck" if not holds.is_set() else "read what the other made")
        if not holds.is_set():
            holds.set()
            wakes.wait(60)

    held_by = Leases(Database(shared_storage), beat=0.05)  # whose heartbeats go on all the time
    thread = threading.Thread(target=lambda: held_by.once("study/a b", "preparing", stuck))
    thread.start()
    assert holds.wait(60)

    def listen(event):
        heard.append(event)
        if isinstance(event, Notice) and not any(order[1:]):
            (holder,) = Leases(database).held()
            assert (holder.name, holder.worker) == ("study/a b", worker_name())
            assert Leases(database).release("study/a b").worker == holder.worker

    Leases(database, listen, beat=0.05, expiry=30.0, patience=0.3).once(
        "study/a b", "preparing", lambda: order.append("next")
    )
    wakes.set()
    thread.join()
    assert order == ["stuck", "next", "read what the other made"]
    (said,) = [event.text for event in heard if isinstance(event, Notice)]
    host, _, process = worker_name().rpartition(":")
    assert f"preparing: still held by process {process} on {host} for about " in said
    assert "run `eenas release 'study/a b'`" in said
    assert Leases(database).release("study/a b") is None


def test_a_time_limit_ends_the_wait_for_a_stuck_holder(shared_storage):
    database = Database(shared_storage)
    database.insert(LEASES, {"name": "it", "holder": "elsewhere:1#x", "beat": 0})

    def over():
        raise TimeOverError("the time limit ended")

    with pytest.raises(TimeOverError):
        Leases(database, while_waiting=over).once("it", "making it", lambda: None)


def test_clocks_an_hour_apart_take_no_lease_from_its_holder(tmp_path, monkeypatch):
    database, order = Database(f"sqlite:///{tmp_path}/eenas.db"), []
    holds = threading.Event()

    def slowly() -> None:
        holds.set()
        time.sleep(0.6)
        order.append("first")

    thread = threading.Thread(target=lambda: Leases(database, beat=0.05).once("it", "making it", slowly))
    thread.start()
    assert holds.wait(60)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    Leases(database, beat=0.05, expiry=5.0).once("it", "making it", lambda: order.append("second"))
    thread.join()
    assert order == ["first", "second"]


def test_a_worker_waits_no_longer_than_until_all_is_made(shared_storage):
    database, made, heard = Database(shared_storage), threading.Event(), []
    holder = start(shared_storage, 60)
    assert holder.stdout.readline() == "making\n"
    threading.Timer(0.5, made.set).start()
    leases = Leases(database, heard.append, beat=0.1, expiry=30.0)
    try:
        assert leases.once("it", "making it", lambda: "read", is_made=made.is_set) == "read"
        assert [type(each) for each in heard] == [Started, Finished]
        assert [each.name for each in leases.held()] == ["it"], "the lease of the other worker is left to it"
        heard.clear()
        assert leases.once("it", "making it", lambda: "read", is_made=lambda: True) == "read"
        assert heard == []
    finally:
        holder.kill()
        holder.communicate()


def test_a_measurement_is_made_by_one_worker_and_read_by_those_that_come_later_without_a_lease(shared_storage):
    made, found = [], []

    def make():
        made.append(threading.get_ident())
        time.sleep(0.5)
        return {"by": made[-1]}

    def work():
        cache = DatabaseCache(Database(shared_storage))
        found.append(cache.once("latency/it", "measuring it", make))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [{"by": made[0]}] * 3
    assert len(made) == 1
    database = Database(shared_storage)
    database.insert(LEASES, {"name": "latency/it", "holder": f"{worker_name()}#other", "beat": 0})
    assert DatabaseCache(database).once("latency/it", "measuring it", make) == {"by": made[0]}
    fresh = DatabaseCache(database, remeasure=True, leases=Leases(database, expiry=0.3))
    assert fresh.once("latency/it", "measuring it", make) == {"by": made[1]}

"""Workers of one study, as real processes on SQLite and PostgreSQL: one study context, an exact total, and kills."""

import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from eenas.records.database import Database
from eenas.records.tables import BANK, LEASES, MEASUREMENTS, PREPARED
from eenas.results.read import open_results
from eenas.results.search import search
from eenas.study.study import _HeartbeatStorage
from eenas.testing.smallest import smallest_backbone, smallest_task
from tests.processes import Program
from tests.smallest_study import QUEUED, SETTINGS, drawn

TRIALS = QUEUED + 3
PROCESS = """
import sys, optuna, torch
optuna.logging.set_verbosity(optuna.logging.ERROR)
import eenas.study.study as study, eenas.records.leases as leases
study.HEARTBEAT, study.GRACE = 1, 3
from eenas.errors import EenasError
from eenas.progress import Notice
from eenas.results.search import search
from eenas.testing.smallest import smallest_backbone, smallest_task
torch.manual_seed(0)
def listen(event):
    print(event.text if isinstance(event, Notice) else f"{type(event).__name__} {event.phase}", flush=True)
try:
    search(smallest_backbone(), task=smallest_task(), storage=sys.argv[1], artifacts=sys.argv[2], device="cpu",
           space="small", name="shared", trials=int(sys.argv[3]), overrides=sys.argv[4:], listener=listen)
except EenasError as error:
    print(f"error: {error}", flush=True)
    sys.exit(2)
"""


class Worker(Program):
    """The search of these tests in a process of its own."""

    def __init__(self, storage: str, folder: Path, *overrides: str, trials: int = TRIALS) -> None:
        super().__init__(PROCESS, storage, folder / "artifacts", trials, *SETTINGS, "bank.designs=0", *overrides)


def states(storage: str) -> Counter[str]:
    with Database(storage).transaction() as connection:
        return Counter(connection.execute(text("SELECT CAST(state AS VARCHAR(20)) FROM trials")).scalars())


def check_shared(storage: str, folder: Path, total: int = TRIALS) -> None:
    """One preparation, one row for each branch, one total, nothing twice, no lease left."""
    database = Database(storage)
    with database.transaction() as connection:
        keys = connection.execute(select(MEASUREMENTS.c.key)).scalars().all()
        backbones = connection.execute(select(BANK.c.backbone).distinct()).scalars().all()
        banked = connection.execute(select(func.count()).select_from(BANK)).scalar()
        assert connection.execute(select(func.count()).select_from(PREPARED)).scalar() == 1
        assert connection.execute(select(LEASES.c.name)).scalars().all() == []
    assert len(backbones) == 1
    assert len([key for key in keys if key.startswith("latency/backbone")]) == 1
    files = [path.name for path in (folder / "artifacts").iterdir()]
    assert len([name for name in files if name.startswith("branch-")]) == banked
    results = open_results(storage)
    assert len(results.trials) == total
    found = drawn(storage, "shared")
    assert len(found) == total - QUEUED >= 3, "the sampler proposes what follows the known designs"
    assert len({values["policy.target_macs"] for values in found}) == len(found), "workers never draw alike"
    known = Counter(trial.origin for trial in results.trials if trial.origin != "sampler")
    assert max(known.values()) == 1
    assert states(storage)["COMPLETE"] == total, [
        (trial.number, trial.reason) for trial in results.trials if trial.reason
    ]
    assert states(storage)["RUNNING"] == states(storage)["WAITING"] == 0
    assert not list((folder / "artifacts").glob(".in-flight*"))


def test_three_workers_from_a_fresh_database_killed_and_restarted(shared_storage, tmp_path):
    slow = ("training.seconds=0.5", "search.prune=false")
    workers = [Worker(shared_storage, tmp_path, *slow, trials=1000) for _ in range(3)]
    for worker in workers:
        worker.wait_for("Started searching")
    for worker in workers:
        time.sleep(0.4)
        worker.kill()
    finished = {trial.number: trial.values for trial in open_results(shared_storage).trials}
    total = max(len(finished), QUEUED) + 4
    workers = [Worker(shared_storage, tmp_path, *slow, trials=total) for _ in range(3)]
    said = "\n".join(worker.end() for worker in workers)
    after = {trial.number: trial.values for trial in open_results(shared_storage).trials}
    assert {number: after[number] for number in finished} == finished
    assert said.count("Finished searching") == 3
    check_shared(shared_storage, tmp_path, total)


def test_a_holder_that_dies_while_it_prepares_is_followed_and_the_others_say_for_what_they_wait(tmp_path):
    storage, slow = f"sqlite:///{tmp_path}/eenas.db", "prepare.training.seconds=60"
    first = Worker(storage, tmp_path, slow)
    first.wait_for("Started training the backbone")
    second = Worker(storage, tmp_path, slow)
    second.wait_for("Started waiting for another worker: preparing what the trials share")
    first.kill()
    second.wait_for("Started training the backbone")
    assert "the worker that held the lease is gone; this one takes over" in second.out
    second.kill()


def stop_between_writes(worker: Worker, file: Path) -> None:
    """Stop a worker where it holds no lock of the database, which the others would wait for in vain."""
    while True:
        worker.send(signal.SIGSTOP)
        with closing(sqlite3.connect(file, timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
                return
            except sqlite3.OperationalError:
                worker.send(signal.SIGCONT)
                time.sleep(0.01)


def test_a_worker_that_slept_while_its_trial_was_run_again_says_so_and_goes_on(tmp_path):
    storage = f"sqlite:///{tmp_path}/eenas.db"
    slow = ("training.seconds=1", "search.prune=false")
    sleeper = Worker(storage, tmp_path, *slow)
    sleeper.wait_for("Advanced searching", times=2)  # the first trial, without a branch, is over at once
    while states(storage)["RUNNING"] == 0:
        time.sleep(0.02)
    stop_between_writes(sleeper, tmp_path / "eenas.db")
    other = Worker(storage, tmp_path, *slow, trials=3)
    other.wait_for("was cut off; it is run again")
    sleeper.send(signal.SIGCONT)
    said = sleeper.end()
    other.end()
    assert "was given to another worker while this one did not respond; its result is discarded" in said
    assert "Traceback" not in sleeper.err
    check_shared(storage, tmp_path)


def test_a_server_that_ends_all_connections_costs_no_trial_and_no_worker(postgresql, tmp_path):
    worker = Worker(postgresql, tmp_path, "training.seconds=0.5", "search.prune=false")
    worker.wait_for("Advanced searching")
    server = Database(postgresql.rpartition("/")[0] + "/postgres")
    name = postgresql.rpartition("/")[2]
    ends = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    for number in range(4):
        time.sleep(0.15 * number)  # into the trial
        ended = worker.out.count("Advanced searching")
        with server.transaction() as connection:
            connection.execute(ends, {"name": name})
        worker.wait_for("Advanced searching", times=ended + 1)
    worker.end()
    assert "Traceback" not in worker.err
    check_shared(postgresql, tmp_path)


@pytest.mark.parametrize("reached", [True, False], ids=["answer lost", "request lost"])
def test_a_known_design_whose_start_is_cut_off_is_run_first(postgresql, tmp_path, monkeypatch, reached):
    """The connection breaks while Optuna marks the first trial as running, before its worker is known."""
    own, left = _HeartbeatStorage.set_trial_state_values, [1]

    def cut_off(self, trial_id, state, values=None):
        if state != TrialState.RUNNING or not left:
            return own(self, trial_id, state, values)
        left.clear()
        if reached:
            own(self, trial_id, state, values)
        else:
            self.begun = trial_id
        lost = StorageInternalError("An exception is raised during the commit.")
        lost.__cause__ = OperationalError("UPDATE", None, Exception("server closed the connection unexpectedly"))
        raise lost

    monkeypatch.setattr(_HeartbeatStorage, "set_trial_state_values", cut_off)
    options = {"device": "cpu", "space": "small", "name": "shared", "trials": TRIALS}
    overrides = (*SETTINGS, "bank.designs=0")
    search(
        smallest_backbone(),
        task=smallest_task(),
        storage=postgresql,
        artifacts=tmp_path / "artifacts",
        overrides=overrides,
        **options,
    )
    assert not left
    check_shared(postgresql, tmp_path)

"""Several workers in real processes: one study with an exact total, a worker that is killed, Ctrl-C, and refusals."""

import multiprocessing
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import optuna
import pytest
import torch

from eenas.errors import DeviceError, MeasurementError, SpecError, StudyError, TaskError
from eenas.progress import Advanced, Notice, Started
from eenas.testing.smallest import smallest_backbone
from eenas.workers import parallel_search as module
from eenas.workers.parallel_search import logs, parallel_search
from tests.smallest_study import SETTINGS, url

OWN = """
from eenas.testing.smallest import smallest_backbone, smallest_task

def task():
    return smallest_task()

def backbone():
    return smallest_backbone()
"""


def run(folder, **options):
    options = {
        **{"space": "small", "name": "shared", "device": "cpu", "trials": 5, "workers": 2, "trust_code": True},
        **{"storage": url(folder), "overrides": (*SETTINGS, "bank.designs=0")},
        **options,
    }
    (folder / "own.py").write_text(OWN)
    return parallel_search(f"{folder}/own.py:backbone", task=f"{folder}/own.py:task", **options)


def states(folder):
    with closing(sqlite3.connect(folder / "eenas.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        return Counter(state for (state,) in connection.execute("SELECT state FROM trials"))


@pytest.mark.slow
def test_two_workers_reach_the_exact_total_and_a_killed_one_is_replaced(tmp_path):
    heard, killed = [], []

    def listener(event):
        heard.append(event)
        if isinstance(event, Advanced) and event.phase == "searching" and event.done >= 1 and not killed:
            killed.extend(multiprocessing.active_children()[:1])
            killed[0].kill()

    results = run(tmp_path, listener=listener)
    assert results.name == "shared"
    found = states(tmp_path)
    assert found["COMPLETE"] == 5
    assert found["RUNNING"] == found["WAITING"] == 0
    notices = [event.text for event in heard if isinstance(event, Notice)]
    assert notices[0].startswith("2 workers share")
    died = [text for text in notices if text.startswith("worker ")]
    assert len(died) == 1
    assert "died: its process was ended by SIGKILL" in died[0]
    assert len([event for event in heard if isinstance(event, Started) and event.phase == "searching"]) == 1
    done = [event.done for event in heard if isinstance(event, Advanced) and event.phase == "searching"]
    assert done == sorted(set(done))
    assert done[-1] == 5
    assert multiprocessing.active_children() == []
    assert sorted(path.name for path in logs(url(tmp_path)).iterdir()) == ["worker-1.log", "worker-2.log"]
    assert "ended: done" in (logs(url(tmp_path)) / "worker-1.log").read_text()


@pytest.mark.slow
def test_ctrl_c_gives_the_trials_back(tmp_path):
    def listener(event):
        if isinstance(event, Advanced) and event.phase == "searching" and event.done >= 1:
            raise KeyboardInterrupt

    results = run(tmp_path, trials=40, listener=listener)
    assert 1 <= len([trial for trial in results.trials if trial.state == "complete"]) < 40
    assert multiprocessing.active_children() == []
    assert states(tmp_path)["RUNNING"] == 0
    more = run(tmp_path, trials=len(results.trials) + 1, workers=1)
    assert len(more.trials) == len(results.trials) + 1


@pytest.mark.slow
def test_wrong_input_ends_all_workers_with_one_error(tmp_path):
    with pytest.raises(SpecError, match="trials must be at least 1"):
        run(tmp_path, trials=0)
    assert multiprocessing.active_children() == []


def test_a_wrong_latency_profile_is_refused_before_a_worker_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WorkerProcess", None)
    with pytest.raises(MeasurementError, match=r"none\.json: cannot be read"):
        run(tmp_path, latency_profile=f"{tmp_path}/none.json")


@pytest.mark.slow
def test_a_search_that_its_workers_refuse_leaves_no_logs(tmp_path):
    (tmp_path / "eenas.workers").mkdir()
    (tmp_path / "eenas.workers" / "worker-2.log").write_text("of an earlier search\n")
    with pytest.raises(TaskError, match="no such folder"):
        parallel_search(
            "branchynet_lenet", task=f"folder:{tmp_path}/none", storage=url(tmp_path), device="cpu", trials=2, workers=2
        )
    assert [path.name for path in (tmp_path / "eenas.workers").iterdir()] == ["worker-2.log"]
    assert multiprocessing.active_children() == []


def test_one_worker_runs_here(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("eenas.results.search.search", lambda backbone, **options: seen.update(options))
    monkeypatch.setattr(module, "WorkerProcess", None)
    run(tmp_path, workers=None)
    run(tmp_path, workers=1)
    assert seen["name"] == "shared"
    assert not {"workers", "ray"} & set(seen)


def test_objects_stay_in_this_process_unless_workers_are_asked_for(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("eenas.results.search.search", lambda backbone, **options: seen.append(backbone))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    backbone = smallest_backbone()
    parallel_search(backbone, task="digits", storage=url(tmp_path))
    assert seen == [backbone]


def test_what_other_processes_cannot_receive_is_refused(tmp_path):
    backbone = smallest_backbone()
    backbone.lock = threading.Lock()
    with pytest.raises(StudyError, match=r"backbone cannot be given to worker processes .*; define its class"):
        parallel_search(backbone, task="digits", storage=url(tmp_path), workers=2)
    with pytest.raises(StudyError, match="callbacks run in the process of one worker, got several"):
        run(tmp_path, callbacks=[print])
    with pytest.raises(DeviceError, match="workers must be a whole number from 1"):
        run(tmp_path, workers=0)
    assert not (tmp_path / "eenas.db").exists()


def test_logs_lie_beside_an_sqlite_file_else_in_the_working_folder(tmp_path):
    assert logs(f"sqlite:///{tmp_path}/x.db") == tmp_path / "x.workers"
    assert str(logs("postgresql://user@host/studies")) == "eenas.workers"


def test_a_storage_that_is_away_after_a_trial_costs_the_page_only(tmp_path, monkeypatch):
    class Reaching:
        name = interrupt = None

        def __init__(self, launch, count, listener, after_trial):
            self.after_trial = after_trial

        def run(self):
            self.after_trial("shared")
            return False

    heard = []
    monkeypatch.setattr(module, "Supervisor", Reaching)
    with pytest.raises(StudyError, match="the workers ended without a study"):
        run(tmp_path, reporters=[lambda results, study: None], listener=heard.append)
    assert heard[-1].text.startswith("the study's page was not refreshed: sqlite:///")


def test_the_study_is_opened_for_reporters_only_when_they_are_due(tmp_path, monkeypatch):
    class Reaching:
        name = interrupt = None

        def __init__(self, launch, count, listener, after_trial):
            self.after_trial = after_trial

        def run(self):
            for _ in range(5):
                self.after_trial("shared")
            return False

    opened, reported = [], []
    monkeypatch.setattr(module, "Supervisor", Reaching)
    monkeypatch.setattr(module, "Database", lambda storage, create: storage)
    monkeypatch.setattr(module, "_study", lambda database, name: opened.append(name) or name)
    monkeypatch.setattr("eenas.results.search.read_results", lambda database, name: time.sleep(0.05))
    with pytest.raises(StudyError, match="the workers ended without a study"):
        run(tmp_path, reporters=[lambda results, study: reported.append(study)])
    assert opened == reported == ["shared"]


@pytest.mark.parametrize("name", [None, "shared"])
def test_a_search_that_cannot_show_what_it_found_ends_as_it_was_interrupted(tmp_path, monkeypatch, name):
    """SIGTERM ends a command with another status than Ctrl-C, so the same exception is raised."""

    class Terminated(KeyboardInterrupt):
        pass

    class Interrupted:
        def __init__(self, *arguments):
            self.name, self.interrupt, self.is_refused = name, Terminated(), False

        def run(self):
            return True

    def broken(*arguments, **options):
        raise AttributeError("module 'sqlalchemy.orm' has no attribute")

    monkeypatch.setattr(module, "Supervisor", Interrupted)
    monkeypatch.setattr(module, "read_results", broken)
    with pytest.raises(Terminated):
        run(tmp_path)


def test_ctrl_c_while_the_study_is_opened_waits_for_what_is_imported(monkeypatch):
    """A circular import that is cut off leaves modules with which the last report fails."""
    steps = []

    def opened(database):
        signal.raise_signal(signal.SIGINT)
        steps.append("imported")

    monkeypatch.setattr(module, "open_storage", opened)
    monkeypatch.setattr(optuna, "load_study", lambda **options: steps.append("loaded"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            module._study(None, "study")
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["imported", "loaded"]

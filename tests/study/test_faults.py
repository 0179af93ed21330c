"""What goes wrong around a search: kills, Ctrl-C, a full disk, other workers, and settings that cannot be."""

import contextlib
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from eenas.backbones.weights.weights import read_weights
from eenas.errors import BackboneError, EenasError, SpecError, StorageError, WeightsError
from eenas.progress import Notice, Started, silent
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.results.read import open_results
from eenas.results.search import search
from eenas.study.settings.study_spec import load_settings
from eenas.study.study import open_storage, origin
from eenas.study.trials.recovery import Recovery
from eenas.testing.smallest import smallest_backbone
from tests.optuna_counts import remaining, running
from tests.processes import Program
from tests.smallest_study import QUEUED, SETTINGS, drawn, run_search, url

TRIALS = 4
KNOWN_FIRST = (*SETTINGS, "bank.designs=0")
"""The first trial is the design without branches, which trains nothing."""
PROCESS = """
import sys, optuna, torch
optuna.logging.set_verbosity(optuna.logging.ERROR)
from eenas.results.search import search
from eenas.testing.smallest import smallest_backbone, smallest_task
torch.manual_seed(0)
search(smallest_backbone(), task=smallest_task(), storage=sys.argv[1], device="cpu", space="small",
       trials=int(sys.argv[2]), overrides=sys.argv[3:])
"""


def go(folder, **options):
    return run_search(folder, **{"trials": TRIALS, **options})


def start(folder, *overrides, trials=TRIALS):
    """The same search in a process of its own."""
    return Program(PROCESS, url(folder), trials, *SETTINGS, *overrides)


def states(folder):
    with contextlib.closing(sqlite3.connect(f"file:{folder}/eenas.db?mode=ro", uri=True)) as connection:
        return [state for (state,) in connection.execute("select state from trials order by number")]


def wait_for(folder, condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.Error):  # the database or its tables are not there yet
            if condition(states(folder)):
                return
        time.sleep(0.02)
    raise AssertionError(f"not reached within {seconds:g} s")


def interrupt(monkeypatch, at, error=KeyboardInterrupt):
    """Let the `at`-th training of a trial end in `error`; returns the way to stop doing so."""
    import eenas.study.trials.design_training as design_training

    real, calls = design_training.train_network, []

    def cut(*args, **kwargs):
        calls.append(1)
        if len(calls) == at:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(design_training, "train_network", cut)


def ask(study):
    """A trial of a worker that then does nothing more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat")
        return study.ask()


def recovery(study, database, folder, listener=silent):
    return Recovery(study, database, InFlight(folder), listener)


def study_of(folder, name):
    return optuna.load_study(study_name=name, storage=url(folder))


def test_a_killed_search_goes_on_and_loses_nothing(tmp_path):
    slow = (*KNOWN_FIRST, "training.seconds=0.8", "search.prune=false")
    process = start(tmp_path, *slow[len(SETTINGS) :])
    try:
        wait_for(tmp_path, lambda found: found.count("COMPLETE") >= 1 and "RUNNING" in found)
        time.sleep(0.3)
    finally:
        process.kill()
    before = open_results(url(tmp_path))
    finished = [trial for trial in before.trials if trial.state == "complete"]
    assert finished
    assert "RUNNING" in states(tmp_path)
    events = []
    quick = (*slow, "search.trials=3")
    after = go(tmp_path, overrides=quick, trials=None, listener=events.append)
    assert [trial for trial in after.trials if trial.number < len(finished)] == finished
    found = states(tmp_path)
    assert found.count("COMPLETE") == 3
    assert found.count("FAIL") == 1
    assert "RUNNING" not in found
    assert any(isinstance(event, Notice) and "was cut off; it is run again" in event.text for event in events)


def test_ctrl_c_in_the_same_trial_again_and_again_loses_no_trial(tmp_path, monkeypatch):
    for _ in range(3):
        with monkeypatch.context() as patch:
            interrupt(patch, at=1)
            found = go(tmp_path, overrides=KNOWN_FIRST)
        assert [trial.state for trial in found.trials] == ["complete"]
    whole = go(tmp_path, overrides=KNOWN_FIRST)
    assert len(whole.trials) == TRIALS
    origins = [trial.origin for trial in whole.trials]
    assert origins.count("known: uniform 3 fc") == 1
    trials = study_of(tmp_path, whole.name).trials
    assert [trial.state.name for trial in trials].count("FAIL") == 3


def test_a_trial_that_kills_its_worker_is_run_again_once(tmp_path):
    database = Database(url(tmp_path))
    study = optuna.create_study(storage=open_storage(database))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    study.enqueue_trial({"x": 0.25}, user_attrs={"origin": "known: x"})
    for number in range(2):
        trial = ask(study)
        assert trial.suggest_float("x", 0, 1) == 0.25
        trial.set_user_attr("worker", f"{socket.gethostname()}:{gone.pid}")
        InFlight(tmp_path).begin(study.study_name, number)
        events = []
        recovery(study, database, tmp_path, events.append).run()
        assert study.trials[number].state.name == "FAIL"
        assert len(study.trials) == 2
        assert len(events) == 1
        assert ("it is not run again" in events[0].text) == (number == 1)
    assert origin(study.trials[1]) == "known: x"
    assert remaining(study, 2) == 1


def test_a_trial_of_a_living_worker_is_left_alone(tmp_path):
    database = Database(url(tmp_path))
    study = optuna.create_study(storage=open_storage(database))
    theirs = optuna.load_study(study_name=study.study_name, storage=open_storage(database))
    for worker in (f"{socket.gethostname()}:{os.getppid()}", "another host:1", None):
        trial = ask(theirs)
        if worker is not None:
            trial.set_user_attr("worker", worker)
    recovery(study, database, tmp_path).run()
    assert running(study) == 3
    assert remaining(study, 5) == 5


def test_a_recorded_trial_of_which_optuna_had_not_heard_is_not_run_again(tmp_path):
    whole = go(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "eenas.db")) as connection, connection:
        connection.execute("update trials set state = 'RUNNING', datetime_complete = null where number = 2")
        connection.execute("delete from trial_values where trial_id = 3")
    again = go(tmp_path)
    assert again.trials == whole.trials
    assert states(tmp_path) == ["COMPLETE"] * TRIALS
    assert study_of(tmp_path, whole.name).trials[2].values == list(whole.trials[2].values)


def test_sigint_ends_a_search_cleanly(tmp_path):
    process = start(tmp_path, *KNOWN_FIRST[len(SETTINGS) :], "training.seconds=2", "search.prune=false")
    try:
        wait_for(tmp_path, lambda found: found.count("COMPLETE") >= 1 and "RUNNING" in found)
        time.sleep(0.3)
        process.send(signal.SIGINT)
        process.end()
    finally:
        process.kill()
    assert "Traceback" not in process.err
    found = states(tmp_path)
    assert "RUNNING" not in found
    assert 1 <= found.count("COMPLETE") < TRIALS


def test_two_workers_share_one_study(tmp_path):
    total = QUEUED + 4
    workers = [start(tmp_path, "bank.designs=0", trials=total) for _ in range(2)]
    for worker in workers:
        worker.end()
    found = open_results(url(tmp_path))
    origins = [trial.origin for trial in found.trials if trial.origin.startswith("known")]
    assert len(origins) == len(set(origins)) == 3
    assert len(found.trials) == total
    assert len({values["policy.target_macs"] for values in drawn(url(tmp_path), found.name)}) == total - QUEUED
    assert len(list((tmp_path / "eenas.artifacts").glob("backbone-*"))) == 1


def test_a_disk_that_is_full_for_artifacts_ends_the_search_and_the_trial_is_run_again(tmp_path, monkeypatch):
    import eenas.files as files

    real, calls, searching = files.os.fsync, [], []

    def full(handle):
        calls.extend(searching)
        if len(calls) > 2:  # what comes before the trials and the first trial's two tables fit
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    def listen(event):
        if isinstance(event, Started) and event.phase == "searching":
            searching.append(1)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StorageError, match=r"No space left on device.*free space.*finished trials are kept"):
            go(tmp_path, overrides=KNOWN_FIRST, listener=listen)
    found = open_results(url(tmp_path))
    assert [trial.state for trial in found.trials] == ["complete"]
    kept = {reference.partition("@")[0] for reference in found.trials[0].artifacts.values()}
    files_there = {path.name for path in (tmp_path / "eenas.artifacts").iterdir() if not path.name.startswith(".")}
    others = ("backbone", "branch", "data", "study-", "table")
    assert {name for name in files_there if not name.startswith(others)} == kept
    whole = go(tmp_path, overrides=KNOWN_FIRST)
    assert whole.trials[0] == found.trials[0]
    assert len(whole.trials) == TRIALS
    assert {trial.state for trial in whole.trials} <= {"complete", "copied", "stopped"}


def test_a_disk_that_is_full_for_the_bank_is_one_line_and_the_same_command_goes_on(tmp_path, monkeypatch):
    import safetensors.torch

    real = safetensors.torch.save_file

    def full(tensors, path, metadata=None):
        if ".branch-" in str(path) and len(list(Path(path).parent.glob("branch-*"))) >= 2:  # two of them fit
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(StorageError, match=r"branch-.*No space left on device.*free space"):
            go(tmp_path)
    kept = set((tmp_path / "eenas.artifacts").glob("branch-*"))
    assert kept
    assert len(go(tmp_path).trials) == TRIALS
    assert kept <= set((tmp_path / "eenas.artifacts").glob("branch-*"))


@pytest.mark.parametrize("moment", ["set_trial_user_attr", "set_trial_state_values"])
def test_a_database_that_is_full_is_one_line_and_the_trial_is_kept_or_run_again(tmp_path, monkeypatch, moment):
    from optuna.storages import RDBStorage

    real = getattr(RDBStorage, moment)
    with monkeypatch.context() as patch:

        def full(self, trial_id, *args, **kwargs):
            starting = optuna.trial.TrialState.RUNNING in (*args, kwargs.get("state"))
            if trial_id == 2 and not starting:
                raise optuna.exceptions.StorageInternalError("database or disk is full")
            return real(self, trial_id, *args, **kwargs)

        patch.setattr(RDBStorage, moment, full)
        with pytest.raises(StorageError, match=r"eenas.db: database or disk is full; free space on its disk") as caught:
            go(tmp_path)
    assert "\n" not in str(caught.value)
    assert states(tmp_path)[0] == "COMPLETE"
    whole = go(tmp_path)
    assert len(whole.trials) == TRIALS
    assert states(tmp_path).count("COMPLETE") == TRIALS


def test_a_search_whose_artifacts_were_deleted_goes_on(tmp_path):
    import shutil

    first = go(tmp_path, trials=3)
    shutil.rmtree(tmp_path / "eenas.artifacts")
    more = go(tmp_path)
    assert more.trials[:3] == first.trials
    assert more.backbone == first.backbone
    assert len(more.trials) == TRIALS


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["backbone=3"], r"^\[backbone\]: must be a table, got 3"),
        (["backbone.nmae=3"], r"^\[backbone.nmae\]: unknown key; nearest: 'name'"),
        (["training.epochs=0"], r"^\[training\]: epochs must be positive"),
        (["training=3"], r"^\[training\]: must be a table"),
        (["search.trials=0"], r"^\[search\]: trials must be at least 1"),
        (["search.sampler=bayes"], r"unknown value 'bayes'; known: 'tpe'"),
        (["seed=-1"], "seed must not be negative"),
        (["prepare.learning_rate=0"], r"^\[prepare\]: learning_rate must be above 0"),
        (["prepare.weight_decay=-1"], r"^\[prepare\]: weight_decay must not be negative"),
        (["constraints.min_accuracy=90"], r"^\[constraints\]: min_accuracy must be a share in \[0, 1\]"),
        (["constraints.max_worst_latency_ms=0"], "max_worst_latency_ms must be positive"),
        (["constraints.max_parameters=-5"], "max_parameters must be positive"),
        (["constraints.max_branches=-1"], "max_branches must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_one_line(overrides, message):
    with pytest.raises(SpecError, match=message) as caught:
        load_settings(backbone="resnet50", overrides=overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet5"}, "unknown backbone 'resnet5'"),
        ({"task": "folder:nowhere"}, "nowhere: no such folder"),
        ({"weights": "nowhere.pt"}, "no such file"),
        ({"device": "cuda:99"}, "device 'cuda:99'"),
        ({"backbone": "./absent.py:make"}, "no such file"),
        ({"overrides": ("space.branch.structure=./untrusted.py:Mine",)}, "trust|no such file"),
        ({"overrides": ("space.branch.structure=./absent.py:Mine",), "trust_code": True}, "no such file"),
        ({"artifacts": "file/artifacts"}, "cannot create the folder"),
        ({"storage": "sqlite://"}, "--artifacts"),
        ({"storage": "sqlite:///file"}, "file is not a database"),
        ({"storage": "sqlite:///nowhere/eenas.db"}, "the folder nowhere does not exist"),
    ],
)
def test_nothing_is_written_before_names_and_files_are_checked(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a database, and not a folder either " * 20)
    with pytest.raises(EenasError, match=message) as caught:
        search(options.pop("backbone", "branchynet_lenet"), **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_images_that_do_not_fit_into_memory_are_one_line(tmp_path):
    with pytest.raises(BackboneError, match=r"height 100000000, width 100000000\] do not fit into memory"):
        go(tmp_path, overrides=(*SETTINGS, "task.input_size=100000000"))


def test_weights_that_hold_nan_are_refused(tmp_path):
    from eenas.backbones.weights.weights import load_weights

    module = smallest_backbone()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    state["2.0.weight"][0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"hold NaN or infinity \(2.0.weight\)"):
        load_weights(module, state, classifier=["4.2"], source="x.pt")
    torch.save(module, tmp_path / "module.pt")
    with pytest.raises(WeightsError, match=r"whose code eenas never runs; save model.state_dict"):
        read_weights(tmp_path / "module.pt")


def test_a_file_that_is_no_npz_does_not_advise_to_read_pickles(tmp_path):
    from eenas.errors import TaskError
    from eenas.tasks.npz import npz_task

    path = Path(tmp_path / "garbage.npz")
    path.write_bytes(b"hello world")
    with pytest.raises(TaskError, match=r"not a readable .npz file \(not NumPy's format\)"):
        npz_task(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(TaskError, match="the array 'train_x' is missing"):
        npz_task(path)

"""The status of a study: its workers, its trials by state, its pace and its best, at any moment of its life."""

import io
import json
import shutil
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from sqlalchemy import update

import eenas
from eenas.cli.tables.status_tables import duration, print_status, status_lines
from eenas.cli.terminal.console import Screen
from eenas.errors import StorageError, StudyError
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.studies import StudyRecord, StudyRecords
from eenas.records.tables import LEASES, WORKERS
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import WorkerRecord, WorkerRecords
from eenas.reporting.facts.notes import study_note
from eenas.results.read import read_results
from eenas.results.status import Watch, status
from eenas.study.study import open_storage
from tests.smallest_study import SmallestStudy, url


class Kept:
    """A study of ten trials in a storage, whose trials and workers a test adds."""

    def __init__(self, folder: Path, name: str = "one", created: str = "2026-01-01") -> None:
        self.url, self.name = f"sqlite:///{folder}/eenas.db", name
        self.database = Database(self.url)
        self.optuna = optuna.create_study(
            study_name=name, storage=open_storage(self.database), directions=["maximize", "minimize"]
        )
        settings = {"search": {"trials": 10, "objectives": ["accuracy", "macs"]}}
        facts = {"backbone": {"costs": {"macs": 1000.0}}}
        record = StudyRecord(name=name, identity={}, identity_digest=name, settings=settings, facts=facts)
        StudyRecords(self.database).save(replace(record, created=created))

    def add(self, accuracy: float, macs: float, *, state: str = "complete", minutes: float = 0) -> None:
        number = len(self.optuna.get_trials(deepcopy=False))
        trial = create_trial(values=[accuracy, macs], user_attrs={"state": state})
        start = trial.datetime_start
        assert start is not None
        trial.datetime_complete = start + timedelta(minutes=minutes)
        self.optuna.add_trial(trial)
        TrialRecords(self.database).save(TrialRecord(study=self.name, number=number, state=state))

    def start(self) -> None:
        with pytest.warns(UserWarning, match="Heartbeat"):  # the test runs no trial
            self.optuna.ask()

    def work(self, name: str, *, doing: str = "", trial: int | None = None, silent: float = 0) -> None:
        host, _, process = name.partition(":")
        record = WorkerRecord(
            name=name, study=self.name, host=host, process=int(process), device="cpu", doing=doing, trial=trial
        )
        WorkerRecords(self.database).start(record)
        values = {"seen": WORKERS.c.seen - silent}
        self.database.change(update(WORKERS).where(WORKERS.c.name == name).values(**values))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_study_that_runs(kept: Kept) -> None:
    for number, accuracy in enumerate((0.7, 0.9, 0.8, 0.85)):
        kept.add(accuracy, 900 if accuracy == 0.9 else 400, minutes=2 * number)
    kept.add(0.1, 100, state="infeasible", minutes=8)
    kept.start()
    kept.work("far-host:7", doing="training trial 5", trial=5)
    kept.work("far-host:8", doing="waiting for another worker: preparing the backbone")
    kept.work("far-host:9", silent=100)
    found = status(kept.url)
    assert (found.study, found.total, found.ended, found.running, found.waiting) == ("one", 10, 5, 1, 0)
    assert found.states == {"complete": 4, "infeasible": 1}
    assert [worker.name for worker in found.alive] == ["far-host:7", "far-host:8"]
    assert [each.waits_for for each in found.workers] == [None, "preparing the backbone", None]
    assert found.pace is not None
    assert found.pace.trials == 4
    assert found.pace.per_hour == pytest.approx(30, rel=0.05)
    assert found.seconds_left == pytest.approx(600, rel=0.05)
    assert [(each.number, each.within) for each in found.best] == [(1, None), (3, 0.5)]
    assert json.loads(json.dumps(found.to_table()))["workers"][1]["waits_for"] == "preparing the backbone"
    lines = "\n".join(status_lines(found))
    assert "trials: 5 of 10 ended (4 complete, 1 infeasible)" in lines
    assert "workers: 2 alive, 1 silent" in lines
    assert "time left: about 10 min" in lines or "time left: about 9 min" in lines
    assert "best accuracy within 50 % of the backbone's MACs: 85.0 % (trial 3)" in lines


def test_first_trials_that_end_together_do_not_promise_a_pace(kept: Kept) -> None:
    for seconds in (600, 601, 602):  # three workers that began together
        kept.add(0.5, 500, minutes=seconds / 60)
    pace = status(kept.url).pace
    assert pace is not None
    assert (pace.trials, pace.seconds) == (3, pytest.approx(602, abs=2))
    assert pace.per_hour == pytest.approx(18, rel=0.05)


def test_a_study_without_a_worker_and_one_that_is_done(kept: Kept) -> None:
    for number in range(4):
        kept.add(0.5, 500, minutes=number)
    found = status(kept.url)
    assert found.alive == ()
    assert found.seconds_left is None
    assert "time left: unknown, no worker is alive" in status_lines(found)
    for number in range(6):
        kept.add(0.5, 500, minutes=number)
    done = status(kept.url)
    assert done.is_done
    assert done.seconds_left == 0
    assert "time left: none, all trials have ended" in status_lines(done)


def test_a_killed_worker_hangs_no_more_when_its_study_is_done(kept: Kept) -> None:
    for number in range(10):
        kept.add(0.5, 500, minutes=number)
    kept.work("far-host:7", doing="trial 9", trial=9, silent=100)
    found = status(kept.url)
    written = io.StringIO()
    screen = Screen(file=written, width=200)
    print_status(screen, found)
    shown = written.getvalue()
    assert "workers: 0 alive, 1 gone without notice (killed, suspended or cut off)" in shown
    assert "silent" not in shown
    assert "far-host" not in shown
    assert [each["is_alive"] for each in found.to_table()["workers"]] == [False]
    kept.work("far-host:8", doing="between two steps")
    print_status(screen, status(kept.url))
    assert "far-host:8" in written.getvalue()


def test_queued_designs_beyond_the_total_are_not_trials_to_come(kept: Kept) -> None:
    for number in range(10):
        kept.optuna.enqueue_trial({"x": number})
    kept.add(0.5, 500)
    assert "in Optuna: 10 queued" in status_lines(status(kept.url))
    for _ in range(9):
        kept.add(0.5, 500)
    assert "in Optuna: 10 queued beyond the total (a larger --trials runs them)" in status_lines(status(kept.url))


def test_a_study_that_has_just_begun(kept: Kept) -> None:
    kept.work("far-host:7", doing="starting")
    found = status(kept.url)
    assert (found.ended, found.pace, found.best, found.seconds_left) == (0, None, (), None)
    assert "time left: unknown, few trials have ended yet" in status_lines(found)


def test_the_newest_of_several_studies_or_the_named_one(kept: Kept, tmp_path: Path) -> None:
    Kept(tmp_path, "two", "2026-02-01")
    assert status(kept.url).study == "two"
    assert status(kept.url).others == ("one",)
    assert eenas.Study("one", storage=kept.url).status().study == "one"
    assert eenas.status(kept.url, "one").others == ("two",)
    with pytest.raises(StudyError, match="has no study 'three'"):
        status(kept.url, "three")
    with pytest.raises(StorageError, match="no such database"):
        status(f"sqlite:///{tmp_path}/none.db")


def test_leases_are_listed_while_they_are_held(kept: Kept) -> None:
    seen = Leases(kept.database).once("bank/x", "training branches", lambda: status(kept.url).leases)
    assert [each.name for each in seen] == ["bank/x"]
    assert "#" not in seen[0].worker
    assert status(kept.url).leases == ()


def test_who_waits_is_said_of_one_lease_and_left_to_the_workers_where_several_are_held(kept: Kept) -> None:
    kept.work("far-host:8", doing="waiting for another worker: measuring the backbone")
    shown = []
    for name in ("latency/x", "bank/y"):
        kept.database.insert(LEASES, {"name": name, "holder": "far-host:7#a", "beat": 3})
        written = io.StringIO()
        print_status(Screen(file=written, width=200), status(kept.url))
        shown.append(written.getvalue())
    one, two = shown
    assert "who waits" in one
    assert one.count("far-host:8") == 2
    assert "who waits" not in two
    assert two.count("far-host:8") == 1
    assert "waiting for another worker: measuring the backbone" in two


def test_the_lease_of_a_killed_worker_is_no_work_in_progress(kept: Kept) -> None:
    for holder, beats in ((f"{socket.gethostname()}:{2**22 + 1}#a", 0), ("far-host:7#b", 3)):
        kept.database.insert(LEASES, {"name": f"bank/{beats}", "holder": holder, "beat": beats})
    assert [each.name for each in status(kept.url).leases] == ["bank/3"]


def test_results_and_their_note_have_the_living_workers_only(smallest_study: SmallestStudy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(smallest_study.folder, tmp_path / "copy"))
    database, name = Database(url(folder)), smallest_study.results.name
    for number in (7, 8):
        row = WorkerRecord(name=f"far-host:{number}", study=name, host="far-host", process=number, device="cpu")
        WorkerRecords(database).start(row)
    silent = update(WORKERS).where(WORKERS.c.name == "far-host:7").values(seen=WORKERS.c.seen - 100)
    database.change(silent)
    results = read_results(database, name)
    assert [each.name for each in results.workers] == ["far-host:8"]
    assert "far-host:8" in study_note(results)


def test_a_watch_sees_what_is_new(kept: Kept) -> None:
    watch = Watch(kept.url)
    assert watch.status().ended == 0
    kept.add(0.9, 100)
    assert watch.status().ended == 1
    assert [each.number for each in watch.status().best] == [0, 0]


def test_durations_have_one_or_two_units() -> None:
    assert [duration(each) for each in (0.4, 59, 60, 185, 7200, 187_200)] == [
        *("0 s", "59 s", "1 min", "3 min 5 s", "2 h", "2 d 4 h")
    ]


def test_running_trials_are_not_counted_as_ended(kept: Kept) -> None:
    kept.start()
    kept.optuna.enqueue_trial({})
    found = status(kept.url)
    assert (found.running, found.waiting, found.ended) == (1, 1, 0)
    assert kept.optuna.get_trials(states=(TrialState.RUNNING,))


def test_a_search_that_prepares_its_study_is_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    database = Database(url)
    database.insert(LEASES, {"name": "profile/cpu/x", "holder": "far-host:7#abc", "beat": 5})
    with pytest.raises(
        StudyError, match="holds no study of eenas yet; process 7 on far-host for about 15 s prepares one"
    ):
        status(url)
    Leases(database).release("profile/cpu/x")
    with pytest.raises(StudyError, match="run `eenas search --backbone NAME` first"):
        status(url)

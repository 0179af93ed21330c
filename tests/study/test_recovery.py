"""Trials whose workers show no more signs of life: what was recorded counts, whoever looks first."""

import time
import warnings

import optuna
import pytest
from optuna.trial import TrialState

import eenas.study.study as studies
from eenas.progress import Notice, silent
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.trials import TrialRecord, TrialRecords
from eenas.records.workers import worker_name
from eenas.study.experimental import experimental
from eenas.study.study import open_storage
from eenas.study.trials.objective import Objective
from eenas.study.trials.recovery import GIVEN_UP, Recovery
from tests.optuna_counts import remaining
from tests.smallest_study import run_search, url

ELSEWHERE = "another machine:1"


class Silent:
    """A study with a trial whose worker, on another machine, has not shown life for longer than the grace."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setattr(studies, "HEARTBEAT", 1)
        monkeypatch.setattr(studies, "GRACE", 1)
        self.database = Database(f"sqlite:///{folder}/eenas.db")
        self.storage = open_storage(self.database)
        self.study = optuna.create_study(storage=self.storage, study_name="s", direction="maximize")
        self.notes = InFlight(folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Heartbeat")
            trial = self.study.ask()
        trial.set_user_attr("worker", ELSEWHERE)
        self.storage.record_heartbeat(trial._trial_id)
        time.sleep(2.2)  # whole seconds of the database's clock

    def record(self, state="complete", values=(0.75,)):
        TrialRecords(self.database).save(TrialRecord(study="s", number=0, state=state, values=values))

    def recover(self):
        Recovery(self.study, self.database, self.notes, silent).run()

    def states(self):
        return [trial.state for trial in self.study.get_trials(deepcopy=False)]


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    return Silent(tmp_path, monkeypatch)


def test_a_recorded_trial_of_a_silent_worker_is_told_and_not_failed(quiet):
    quiet.record()
    quiet.recover()
    (trial,) = quiet.study.get_trials()
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.75])
    assert remaining(quiet.study, 2) == 1


def test_the_next_trial_of_another_worker_leaves_it_to_the_recovery(quiet):
    quiet.record()
    with experimental():
        quiet.study.optimize(lambda _: 0.5, n_trials=1)  # Optuna looks for silent trials before each of its own
    assert quiet.states() == [TrialState.RUNNING, TrialState.COMPLETE]
    quiet.recover()
    assert quiet.states() == [TrialState.COMPLETE, TrialState.COMPLETE]


def test_one_without_a_record_is_run_again(quiet):
    quiet.notes.begin("s", 0)
    quiet.recover()
    assert quiet.states() == [TrialState.FAIL, TrialState.WAITING]
    assert "cut_off" not in quiet.study.get_trials()[0].user_attrs  # it may still wake


def test_one_with_a_failure_on_record_counts_and_is_not_run_again(quiet):
    quiet.record("failed", None)
    quiet.recover()
    assert quiet.states() == [TrialState.FAIL]
    assert remaining(quiet.study, 2) == 1


def test_a_trial_whose_process_died_twice_is_recorded_as_failed(quiet):
    for trial in quiet.study.get_trials():
        quiet.study._storage.set_trial_user_attr(trial._trial_id, "worker", worker_name())
    quiet.notes.begin("s", 0)
    quiet.recover()
    assert quiet.states() == [TrialState.FAIL, TrialState.WAITING]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat")
        again = quiet.study.ask()
    again.set_user_attr("worker", worker_name())
    quiet.notes.begin("s", 1)
    events = []
    Recovery(quiet.study, quiet.database, quiet.notes, events.append).run()
    assert quiet.states() == [TrialState.FAIL, TrialState.FAIL]
    (record,) = TrialRecords(quiet.database).list("s")
    assert (record.number, record.state, record.reason) == (1, "failed", GIVEN_UP)
    assert [event.text for event in events] == ["trial 1 was cut off like trial 0 before; it is not run again"]
    assert remaining(quiet.study, 2) == 1
    quiet.recover()
    assert quiet.states() == [TrialState.FAIL, TrialState.FAIL]


def test_a_trial_that_another_worker_failed_while_it_was_recorded_is_run_again(tmp_path, monkeypatch):
    real, begun = Objective._keep, []

    def keep(self, trial, record):
        real(self, trial, record)
        if not begun:  # another worker had looked just before, and tells now that nothing is on record
            begun.append(trial.number)
            trial.study.tell(trial.number, state=TrialState.FAIL)

    monkeypatch.setattr(Objective, "_keep", keep)
    events = []
    found = run_search(tmp_path, trials=3, listener=events.append)
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any("its result is discarded" in text for text in said)
    study = optuna.load_study(study_name=found.name, storage=url(tmp_path))
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == len(found.trials) == 3
    assert begun[0] not in [trial.number for trial in found.trials]

"""Optuna's study as eenas opens it: what it is asked to improve, and which of its trials count."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from eenas.errors import StorageError
from eenas.records.database import Database
from eenas.study.settings.search_spec import SearchSpec
from eenas.study.settings.study_spec import load_settings
from eenas.study.study import RunAgain, open_storage, open_study, origin, silent_trials
from tests.smallest_study import url

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")
ENDED = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}


def settings(*objectives, seed=0):
    overrides = [f"search.objectives={list(objectives)}"] if objectives else []
    return load_settings(backbone="cifar_resnet20", space="small", seed=seed, overrides=overrides)[0]


def with_trials(*trials):
    """A study with a trial for each: its state, and its attributes if it has any."""
    study = optuna.create_study()
    for each in trials:
        state, *attributes = each if isinstance(each, tuple) else (each,)
        if state == "waiting":
            study.enqueue_trial({}, user_attrs=dict(*attributes))
            continue
        trial = study.ask()
        for name, value in dict(*attributes).items():
            trial.set_user_attr(name, value)
        if state != "running":
            study.tell(trial, 1.0 if state == "complete" else None, state=ENDED[state])
    return study


def test_accuracy_is_to_rise_and_costs_are_to_fall_in_the_order_of_the_settings(tmp_path):
    storage = open_storage(Database(url(tmp_path)))
    for objectives in (("accuracy", "macs"), ("latency", "accuracy"), ("accuracy", "energy")):
        asked = SimpleNamespace(search=SearchSpec(objectives=objectives), seed=0)
        study = open_study(storage, "-".join(objectives), asked)
        rises = [direction == StudyDirection.MAXIMIZE for direction in study.directions]
        assert rises == [objective == "accuracy" for objective in objectives]
        names = {"macs": "expected MACs", "latency": "expected ms", "energy": "expected energy"}
        assert study.metric_names == [names.get(objective, objective) for objective in objectives]


def test_a_study_that_is_there_is_continued(tmp_path):
    first = open_study(open_storage(Database(url(tmp_path))), "s", settings("accuracy", "macs"))
    first.tell(first.ask(), (0.5, 7.0))
    again = open_study(open_storage(Database(url(tmp_path))), "s", settings("accuracy", "macs"))
    assert [trial.values for trial in again.trials] == [[0.5, 7.0]]


def test_the_sampler_is_that_of_the_settings_or_the_one_that_is_given(tmp_path):
    storage = open_storage(Database(url(tmp_path)))
    drawn = []
    for seed in (0, 0, 1):
        study = open_study(storage, f"{len(drawn)}", settings("accuracy", seed=seed))
        drawn.append(study.ask().suggest_float("x", 0, 1))
    assert drawn[0] == drawn[1] != drawn[2]
    own = optuna.samplers.GridSampler({"x": [0.25]})
    assert open_study(storage, "own", settings("accuracy"), own).ask().suggest_float("x", 0, 1) == 0.25


def test_trials_that_are_queued_again_are_known_by_eenas_and_by_optuna():
    study = with_trials(("failed", {}), ("waiting", {"again_for": 0}), "failed")
    study.add_trial(optuna.trial.create_trial(value=1.0, system_attrs={"failed_trial": 2}))
    again = RunAgain(study)
    assert again.numbers() == {0, 2}
    study.enqueue_trial({}, user_attrs={"again_for": 1})
    assert again.numbers() == {0, 1, 2}


def test_a_trial_is_the_samplers_unless_it_was_queued():
    study = with_trials("running", ("waiting", {"origin": "known: no branch"}))
    assert [origin(trial) for trial in study.trials] == ["sampler", "known: no branch"]
    assert origin(study.ask()) == "known: no branch"


def test_a_storage_without_heartbeats_knows_of_no_silent_trial():
    assert silent_trials(with_trials("running")) == set()


def test_a_heartbeat_that_is_lost_does_no_harm(tmp_path, monkeypatch):
    def lost(self, trial_id):
        raise OperationalError("UPDATE", {}, Exception("the server is away"))

    storage = open_storage(Database(url(tmp_path)))
    monkeypatch.setattr(RDBStorage, "record_heartbeat", lost)
    storage.record_heartbeat(1)


def test_tables_that_cannot_be_opened_are_one_line(tmp_path, monkeypatch):
    def away(self, *arguments, **options):
        raise OperationalError("SELECT", {}, Exception("the server is away"))

    database = Database(url(tmp_path))
    monkeypatch.setattr(RDBStorage, "__init__", away)
    with pytest.raises(StorageError, match="the server is away") as caught:
        open_storage(database)
    assert "\n" not in str(caught.value)

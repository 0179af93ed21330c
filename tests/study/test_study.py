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
from eenas.study.study import (
    DIED,
    STOPPED,
    SURPLUS,
    is_surplus,
    open_storage,
    open_study,
    origin,
    remaining,
    run_again,
    running,
    silent_trials,
)
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


@pytest.mark.parametrize(
    ("trials", "left"),
    [
        ((), 3),
        (("complete",), 2),
        (("failed",), 2),
        ((("failed", {"cut_off": DIED}),), 2),
        ((("failed", {"cut_off": STOPPED}),), 3),
        ((("failed", {"cut_off": SURPLUS}),), 3),
        (("running", "waiting"), 3),
        ((("failed", {"cut_off": DIED}), ("waiting", {"again_for": 0})), 3),
        ((("failed", {}), ("complete", {"again_for": 0})), 2),
        (("complete", ("complete", {"again_for": 0})), 1),
        (("complete",) * 5, 0),
    ],
)
def test_so_many_trials_are_left_of_three(trials, left):
    assert remaining(with_trials(*trials), 3) == left


@pytest.mark.parametrize(
    ("trials", "surplus"),
    [
        (("complete", "running", "running"), [False, False, True]),
        (("running", "waiting", "running"), [False, False, True]),
        ((("failed", {"cut_off": SURPLUS}), "complete", "running"), [False, False, False]),
        ((("failed", {}), ("complete", {"again_for": 0}), "running"), [False, False, False]),
        (("failed", "failed", "running"), [False, False, True]),
    ],
)
def test_a_trial_is_surplus_behind_as_many_as_the_total(trials, surplus):
    study = with_trials(*trials)
    assert [is_surplus(study, number, 2) for number in range(len(trials))] == surplus


def test_trials_that_are_queued_again_are_known_by_eenas_and_by_optuna():
    study = with_trials(("failed", {}), ("waiting", {"again_for": 0}), "failed")
    study.add_trial(optuna.trial.create_trial(value=1.0, system_attrs={"failed_trial": 2}))
    assert run_again(study) == {0, 2}


def test_only_trials_in_progress_are_running():
    assert running(with_trials("complete", "running", "waiting", "failed", "running")) == 2


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

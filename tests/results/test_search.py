"""A whole search on the smallest task: from settings to front, again from where it stopped, and what may go wrong."""

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import eenas.results.search as run
from eenas.errors import DivergedError, EenasError, SpecError, StorageError, StudyError
from eenas.fronts.dominance import pareto_mask
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.operating_point import evaluate
from eenas.progress import Notice, Started
from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurves
from eenas.results.read import open_results
from eenas.study.context.bank import PHASE
from eenas.study.settings.study_spec import load_settings
from eenas.study.trials.objective import Objective
from tests.smallest_study import QUEUED, SETTINGS, drawn, run_search, url

OVERRIDES = (*SETTINGS, "prepare.training.epochs=4", "training.epochs=1", "latency.seconds=0.02", "baselines.static=3")
QUICK = (*SETTINGS, "prepare.training.epochs=1", "training.epochs=0.3")
"""For what needs no trial that is good at anything."""
SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "nsgaiii": optuna.samplers.NSGAIIISampler,
    "gp": optuna.samplers.GPSampler,
    "random": optuna.samplers.RandomSampler,
}


def go(folder, **options):
    return run_search(folder, **{"trials": 6, "overrides": OVERRIDES, **options})


def quick(folder, **options):
    return run_search(folder, **{"trials": 3, "overrides": QUICK, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def results(folder):
    return go(folder)


def test_a_search_ends_with_a_front(results):
    assert len(results.trials) == 6
    assert {trial.state for trial in results.trials} <= {"complete", "copied", "stopped", "infeasible"}
    assert results.front
    assert sum(entry.knee for entry in results.front) == 1
    assert 0 < results.hypervolumes["macs"] < 1.1
    assert results.hypervolumes["latency"] is not None
    accuracies = [entry.point.accuracy for entry in results.front]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_first_trials_are_known_designs(results):
    origins = [trial.origin for trial in results.trials]
    assert origins[0] == "frozen front: 1"
    assert any(origin.startswith("known: uniform") for origin in origins)
    plain = results.trials[origins.index("known: no branch")]
    assert plain.exit_accuracy == (pytest.approx(results.backbone.accuracy),)
    names = [baseline.name for baseline in results.baselines]
    assert "backbone" in names
    assert "static networks" in names
    assert "frozen search" in names
    assert any(name.startswith("uniform") for name in names)


def test_no_point_of_any_network_dominates_the_front(results):
    points = [p for network in results.networks for p in network.points]
    values = np.array([(p.accuracy, p.expected["macs"], p.expected["latency"]) for p in points])
    best = {tuple(row) for row in values[pareto_mask(values, (True, False, False))]}
    front = {(e.point.accuracy, e.point.expected["macs"], e.point.expected["latency"]) for e in results.front}
    assert front == best


def test_every_score_comes_from_the_stored_exit_table(results, folder):
    for trial in results.trials:
        if not trial.artifacts:
            continue
        table = load_exit_table(folder / "eenas.artifacts" / trial.artifacts["validation"].partition("@")[0])
        assert evaluate(trial.chosen.policy, table) == trial.chosen
        assert trial.values == (
            trial.chosen.accuracy,
            trial.chosen.expected["macs"],
            trial.chosen.expected["latency"],
        )
        for point in trial.points:
            assert evaluate(point.policy, table) == point


def test_costs_count_every_branch_on_the_way(results, folder):
    trial = max(results.trials, key=lambda t: len(t.design.branches))
    table = load_exit_table(folder / "eenas.artifacts" / trial.artifacts["validation"].partition("@")[0])
    assert table.costs["macs"][-1] > results.backbone.macs
    assert trial.chosen.worst["macs"] == table.costs["macs"][trial.chosen.policy.last_reachable]


def test_reading_gives_what_the_search_gave(results, folder):
    again = open_results(f"sqlite:///{folder}/eenas.db")
    assert again == results
    with pytest.raises(StudyError, match="nearest"):
        open_results(f"sqlite:///{folder}/eenas.db", results.name[:-1])


def test_the_same_search_goes_on_and_counts_a_total(results, folder):
    events = []
    more = go(folder, trials=8, listener=events.append)
    assert [t for t in more.trials if t.number < 6] == list(results.trials)
    assert len(more.trials) == 8
    assert any(isinstance(e, Notice) and "prepared before" in e.text for e in events)
    assert len(go(folder, trials=8).trials) == 8


def test_the_same_seed_gives_the_same_designs_and_accuracies(results, tmp_path):
    other = go(tmp_path)
    assert [t.design.digest for t in other.trials if t.design] == [t.design.digest for t in results.trials if t.design]
    assert [t.exit_accuracy for t in other.trials] == [t.exit_accuracy for t in results.trials]


def test_another_seed_is_another_study_with_other_proposals(tmp_path):
    settings = {"overrides": (*QUICK, "bank.designs=0", "bank.earlier=0"), "trials": QUEUED + 2}
    names = [quick(tmp_path, seed=seed, **settings).name for seed in (0, 1)]
    one, two = ({values["policy.target_macs"] for values in drawn(url(tmp_path), name)} for name in names)
    assert len(one) == len(two) == 2
    assert not one & two


def test_a_study_goes_on_when_a_default_is_stated(tmp_path):
    plain = tuple(each for each in QUICK if not each.startswith("training."))
    stated = (*plain, "training.epochs=1")
    first = quick(tmp_path, trials=1, overrides=plain)
    assert quick(tmp_path, trials=2, overrides=stated).name == first.name
    assert len(quick(tmp_path, trials=3, overrides=stated, name=first.name).trials) == 3


def test_a_name_of_another_identity_is_refused(results, folder):
    with pytest.raises(StudyError, match=r"belongs to another search: .*seed is .* and was .*another --name"):
        go(folder, name=results.name, seed=7)


def test_a_failed_trial_keeps_its_reason_and_the_study_goes_on(tmp_path, monkeypatch):
    import eenas.study.trials.design_training as design_training

    real, calls = design_training.train_network, []

    def sometimes(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise DivergedError("the loss is not finite (learning_rate=9); lower the learning rate")
        return real(*args, **kwargs)

    monkeypatch.setattr(design_training, "train_network", sometimes)
    found = quick(tmp_path)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert len(failed) == 1
    assert "learning_rate=9" in failed[0].reason
    assert len(found.trials) == 3
    assert found.front


def test_three_equal_failures_in_a_row_end_the_study_and_lose_nothing(tmp_path, monkeypatch):
    import eenas.study.trials.design_training as design_training

    def never(*args, **kwargs):
        raise EenasError("no space left")

    monkeypatch.setattr(design_training, "train_network", never)
    with pytest.raises(StudyError, match="failed for the same reason: no space left"):
        quick(tmp_path, trials=12, overrides=(*QUICK, "bank.designs=0"))
    found = open_results(f"sqlite:///{tmp_path}/eenas.db")
    assert [trial.state for trial in found.trials][:4] == ["complete", "failed", "failed", "failed"]


def test_ctrl_c_ends_cleanly_and_the_trial_is_run_again(tmp_path, monkeypatch):
    import eenas.study.trials.design_training as design_training

    real, calls = design_training.train_network, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(design_training, "train_network", interrupted)
    known_first = (*QUICK, "bank.designs=0")
    first = quick(tmp_path, trials=4, overrides=known_first)
    assert [t.state for t in first.trials] == ["complete", "complete"]
    whole = quick(tmp_path, trials=4, overrides=known_first)
    assert len([t for t in whole.trials if t.state != "failed"]) == 4
    study = optuna.load_study(study_name=whole.name, storage=f"sqlite:///{tmp_path}/eenas.db")
    again = [t for t in study.trials if t.user_attrs.get("again_for") == 2]
    assert len(again) == 1
    assert again[0].state.name == "COMPLETE"


@pytest.mark.parametrize(("state", "counted"), [(TrialState.FAIL, [1, 2]), (TrialState.COMPLETE, [0, 1])])
def test_a_trial_that_another_worker_ended_does_not_end_the_search(tmp_path, monkeypatch, state, counted):
    """A trial that failed in Optuna stays failed there, so its late record is dropped and the trial runs again."""
    real, ended = Objective._keep, []

    def keep(self, trial, record):
        real(self, trial, record)
        if not ended:
            ended.append(trial.number)
            values = list(record.values) if state == TrialState.COMPLETE else None
            trial.study.tell(trial.number, values, state=state)

    monkeypatch.setattr(Objective, "_keep", keep)
    results = quick(tmp_path, trials=2)
    assert [trial.number for trial in results.trials] == counted
    assert [trial.state for trial in results.trials] == ["complete", "complete"]


def test_a_mistake_of_ours_is_not_taken_for_another_worker(tmp_path):
    calls = []

    def reporter(results, study):
        calls.append(results)
        raise ValueError("Cannot tell what this is")

    with pytest.raises(ValueError, match="Cannot tell what this is"):
        quick(tmp_path, reporters=[reporter])
    assert len(calls) == 1


def test_every_trial_records_what_its_branches_reached_before_training(results):
    trained = [trial for trial in results.trials if trial.state in ("complete", "stopped") and trial.design.branches]
    assert trained
    for trial in trained:
        assert trial.frozen_points
        assert trial.samples > 0


def test_every_trained_trial_records_its_learning_curve_and_a_later_worker_reads_it(results, folder):
    database = Database(f"sqlite:///{folder}/eenas.db", create=False)
    curves = {curve.number: curve for curve in LearningCurves(database).list(results.name)}
    trained = {t.number: t for t in results.trials if t.state in ("complete", "stopped") and t.design.branches}
    assert set(trained) == {number for number in curves if number < 6}
    for number, trial in trained.items():
        assert curves[number].method == trial.design.training.method
        assert (curves[number].end is not None) == (trial.state == "complete")
        assert all(0 < progress <= 1 for progress, _ in curves[number].values)
    assert any(len(curve.values) > 1 for curve in curves.values())


def test_without_a_bank_nothing_is_inherited_and_no_front_is_sought(tmp_path):
    found = quick(tmp_path, overrides=(*QUICK, "bank.use=false"))
    assert not any(trial.frozen_points for trial in found.trials)
    assert all(trial.origin.startswith("known") for trial in found.trials)
    assert "frozen search" not in [baseline.name for baseline in found.baselines]


def test_static_networks_stand_at_every_cut_point_and_the_best_are_trained(results, folder):
    static = {network.name: network for network in results.networks if network.kind == "static"}
    assert len(static) >= 3
    for network in static.values():
        assert network.design.static
        (point,) = network.points
        table = load_exit_table(folder / "eenas.artifacts" / network.artifacts["validation"].partition("@")[0])
        assert table.exits == network.design.exits
        assert evaluate(point.policy, table) == point
    names = {network.name for network in results.networks}
    assert {"backbone", "frozen 1"} <= names


def test_a_static_network_that_diverges_stays_as_it_is_in_the_bank(tmp_path, monkeypatch):
    import eenas.study.trials.design_training as design_training

    real = design_training.train_network

    def diverges(network, *args, **kwargs):
        if network.design.static:
            raise DivergedError("the loss is not finite")
        return real(network, *args, **kwargs)

    monkeypatch.setattr(design_training, "train_network", diverges)
    heard = []
    found = quick(tmp_path, trials=1, overrides=(*QUICK, "baselines.static=2"), listener=heard.append)
    assert sum(network.kind == "static" for network in found.networks) >= 3
    assert any("keeps its banked branch" in event.text for event in heard if isinstance(event, Notice))


def test_limits_that_no_network_holds_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(SpecError, match="max_parameters = 10 cannot be met"):
        quick(tmp_path, overrides=(*QUICK, "constraints.max_parameters=10"))


def test_a_later_study_inherits_the_bank(tmp_path):
    events = [], []
    for name, heard in zip(("first", "second"), events, strict=True):
        quick(tmp_path, trials=2, name=name, listener=heard.append)
    trained = [[e for e in heard if isinstance(e, Started) and e.phase == PHASE] for heard in events]
    assert trained[0]
    assert not trained[1]


def test_a_design_drawn_again_copies_its_scores(tmp_path):
    fixed = {
        "version": 1,
        "branches": 1,
        "placement": {"kind": "uniform"},
        "branch": {"on": True, "structure": "pool_fc", "pool": "avg"},
        "policy": {"target_macs": {"low": 0.3, "high": 1.0}},
    }
    import eenas.specs as specs
    from eenas.designs.space import Space

    path = tmp_path / "one.toml"
    path.write_text(
        "version = 1\nbranches = 1\n[placement]\nkind = 'uniform'\n[branch]\non = true\nstructure = 'pool_fc'\n"
        "[policy]\ntarget_macs = { low = 0.3, high = 1.0 }\n"
    )
    assert specs.from_table(Space, fixed)
    found = quick(tmp_path, space=path, trials=4)
    copied = [trial for trial in found.trials if trial.state == "copied"]
    assert copied
    assert all("the same network as trial" in trial.reason for trial in copied)
    same = {trial.exit_accuracy for trial in found.trials if len(trial.exit_accuracy) == 2}
    assert len(same) == 1


def test_constraints_reach_the_sampler_once_and_the_front(tmp_path):
    found = quick(tmp_path, trials=6, overrides=(*QUICK, "constraints.max_branches=1"))
    for trial in found.trials:
        assert bool(trial.missed) == (len(trial.design.branches) > 1)
    assert all(len(entry.network.branches) <= 1 for entry in found.front)
    assert found.front
    study = optuna.load_study(study_name=found.name, storage=f"sqlite:///{tmp_path}/eenas.db")
    for trial in study.trials:
        assert set(trial.constraints) == {"buildable", "max_branches"}
    assert all(t.constraints["max_branches"] <= 0 for t in study.best_trials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_the_trials_of_a_search(tmp_path, monkeypatch, name):
    sampler, asked = SAMPLERS[name], []
    real = sampler.infer_relative_search_space

    def infer(self, study, trial):
        asked.append(trial.number)
        return real(self, study, trial)

    monkeypatch.setattr(sampler, "infer_relative_search_space", infer)
    nothing_first = ("search.known_designs=false", "bank.use=false")
    found = quick(tmp_path, trials=4, overrides=(*QUICK, *nothing_first, f"search.sampler={name}"))
    assert [trial.origin for trial in found.trials] == ["sampler"] * 4
    assert len({values["policy.target_macs"] for values in drawn(url(tmp_path), found.name)}) == 4
    assert asked == [0, 1, 2, 3]


def test_a_time_limit_starts_no_more_trials(tmp_path):
    quick(tmp_path, trials=1)  # what preparation takes counts too
    events = []
    found = quick(tmp_path, trials=500, timeout=3.0, listener=events.append)
    assert 1 < len(found.trials) < 500


def test_reporters_hear_the_first_trial_and_the_last(tmp_path):
    heard = []
    quick(tmp_path, reporters=[lambda results, study: heard.append(len(results.trials))])
    assert heard[0] == 1
    assert heard[-1] == 3


def test_a_storage_that_cannot_be_read_for_the_page_does_not_end_the_search(tmp_path, monkeypatch):
    read, heard, reported = run.read_results, [], []

    def gone_at_first(*arguments, **options):
        if not any(isinstance(event, Notice) and "page" in event.text for event in heard):
            raise StorageError("eenas.db: database is locked")
        return read(*arguments, **options)

    monkeypatch.setattr(run, "read_results", gone_at_first)
    found = quick(tmp_path, listener=heard.append, reporters=[lambda results, study: reported.append(results)])
    assert len(found.trials) == 3
    (said,) = [event.text for event in heard if isinstance(event, Notice) and "page" in event.text]
    assert said == "the study's page was not refreshed: eenas.db: database is locked"
    assert reported


def test_settings_name_the_nearest_key(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("[backbone]\nname = 'resnet50'\n[search]\ntrails = 3\n")
    with pytest.raises(SpecError, match=r"study.toml.*search.trails.*nearest: 'trials'"):
        load_settings(path)
    path.write_text("[backbone]\nname = 'resnet50'\n[search]\nsampler = 'tpee'\n")
    with pytest.raises(SpecError, match=r"search.sampler.*'tpe'"):
        load_settings(path)
    with pytest.raises(SpecError, match="no backbone"):
        load_settings()


def test_a_budget_takes_the_place_of_another_unit():
    settings, _ = load_settings(backbone="resnet50", overrides=["training.samples=10", "training.seconds=5"])
    assert settings.training == replace(settings.training, epochs=None, samples=None, seconds=5.0)


def test_results_are_plain_data_in_the_database(results, folder):
    from eenas.records.database import Database
    from eenas.records.studies import StudyRecords

    record = StudyRecords(Database(f"sqlite:///{folder}/eenas.db")).get(results.name)
    assert json.loads(json.dumps(record.settings)) == record.settings

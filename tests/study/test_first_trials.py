"""What a study tries first: the best of earlier studies on the same data, the frozen front, known designs."""

import numpy as np
import optuna
import pytest

from eenas.designs.recipes import recipe_for
from eenas.designs.space import load_space
from eenas.fronts.hypervolume import most_added
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, run_search

TRIALS = 7


def go(folder, name, *overrides, **options):
    heard = []
    overrides = (*SETTINGS, "search.prune=false", *overrides)
    found = run_search(folder, name=name, overrides=overrides, listener=heard.append, **{"trials": TRIALS, **options})
    return found, [event.text for event in heard if hasattr(event, "text")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def first(folder):
    return go(folder, "first")[0]


@pytest.fixture(scope="module")
def second(folder, first):
    return go(folder, "second", "search.sampler=random")


def queued(folder, name):
    """The origin and the parameters of each trial that a study queued."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/eenas.db")
    trials = [trial for trial in study.trials if "fixed_params" in trial.system_attrs]
    return [(trial.user_attrs["origin"], trial.system_attrs["fixed_params"]) for trial in trials]


def best(results, count):
    """The trials of a study that add most hypervolume one after another."""
    trials = [trial for trial in results.trials if trial.state in ("complete", "stopped")]
    total = results.backbone.macs
    curves = [
        (np.array([p.accuracy for p in t.points]), np.array([p.expected["macs"] / total for p in t.points]))
        for t in trials
    ]
    taken = most_added(curves, count, reference_cost=1.1, reference_accuracy=results.chance)
    return [trials[index] for index in taken]


def test_a_later_study_begins_with_the_best_designs_of_an_earlier_one(first, second):
    found, notices = second
    wanted = best(first, 4)
    assert wanted
    begun = found.trials[: len(wanted)]
    assert [trial.design.digest for trial in begun] == [trial.design.digest for trial in wanted]
    for trial, earlier in zip(begun, wanted, strict=True):
        known = earlier.origin.startswith("known")
        assert trial.origin == (earlier.origin if known else f"study first: {earlier.number}")
    assert f"first trials: {len(wanted)} designs from first" in notices


def test_its_front_is_at_least_as_large_once_they_are_trained(first, second):
    assert second[0].hypervolumes["macs"] >= first.hypervolumes["macs"] - 1e-9


def test_nothing_of_the_frozen_front_is_tried_again_with_the_same_training(first, second):
    assert any(trial.origin.startswith("frozen front") for trial in first.trials)
    assert not any(trial.origin.startswith("frozen front") for trial in second[0].trials)


def test_with_another_training_the_frozen_front_is_tried_again(folder, first):
    found, _ = go(folder, "longer", "training.epochs=1", "bank.earlier=0", "bank.training.epochs=0.5", trials=1)
    assert found.trials[0].origin == "frozen front: 1"


def test_no_design_is_queued_twice_and_known_designs_are_there_all_the_same(second):
    digests = [trial.design.digest for trial in second[0].trials if trial.origin != "sampler"]
    assert len(digests) == len(set(digests))
    origins = {trial.origin for trial in second[0].trials}
    assert "known: no branch" in origins
    assert any(name.name.startswith("uniform") for name in second[0].baselines)


@pytest.mark.parametrize(
    ("overrides", "begins"), [(("bank.earlier=0",), "frozen front: 1"), (("bank.use=false",), "known: no branch")]
)
def test_earlier_studies_can_be_left_aside(folder, first, overrides, begins):
    found, notices = go(folder, overrides[0], *overrides, trials=1)
    assert found.trials[0].origin == begins
    assert not any(text.startswith("first trials") for text in notices)


def test_other_data_have_other_designs(folder, first):
    found, notices = go(folder, "other data", trials=1, task=smallest_task(seed=1))
    assert found.trials[0].origin == "frozen front: 1"
    assert not any(text.startswith("first trials") for text in notices)


def test_a_search_that_was_cut_off_while_it_queued_its_first_trials_queues_the_rest(folder, first, monkeypatch):
    real, calls = optuna.Study.enqueue_trial, []

    def dies(self, *args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise SystemExit
        real(self, *args, **options)

    monkeypatch.setattr(optuna.Study, "enqueue_trial", dies)
    with pytest.raises(SystemExit):
        go(folder, "cut off")
    assert len(queued(folder, "cut off")) == 2
    monkeypatch.undo()
    go(folder, "cut off", trials=1)
    origins, parameters = zip(*queued(folder, "cut off"), strict=True)
    assert "known: no branch" in origins
    assert len(origins) == len(set(origins))
    assert all(each not in parameters[:index] for index, each in enumerate(parameters))


def test_what_the_space_cannot_say_is_not_tried(folder, first, tmp_path):
    path = tmp_path / "one.toml"
    path.write_text(
        "version = 1\nbranches = 1\n[placement]\nkind = 'uniform'\n[branch]\non = true\nstructure = 'pool_fc'\n"
        "[policy]\ntarget_macs = { low = 0.3, high = 1.0 }\n"
    )
    found, _ = go(folder, "one", space=path, trials=3)
    assert all(len(trial.design.branches) <= 1 for trial in found.trials)


def test_designs_of_the_frozen_front_come_each_for_a_budget_with_its_recipe(tmp_path):
    path = tmp_path / "recipes.toml"
    path.write_text(
        "version = 1\nbranches = 2\n[placement]\nkind = 'free'\n[branch]\non = [true, false]\n"
        "depth = { low = 0.0, high = 1.0 }\nstructure = 'pool_fc'\n"
        "[training]\nbackbone_rate = { low = 0.3, high = 1.0, log = true }\nfinal_weight = [1.0, 2.0, 4.0]\n"
        "[policy]\ntarget_macs = { low = 0.3, high = 1.0 }\n"
    )
    go(tmp_path, "recipes", "bank.designs=4", space=path, trials=1)
    values = [values for origin, values in queued(tmp_path, "recipes") if origin.startswith("frozen front")]
    assert [each["policy.target_macs"] for each in values[:3]] == [0.5, 0.3, 0.75]  # of 0.5, 0.25 and 0.75
    for each, budget in zip(values, (0.5, 0.25, 0.75), strict=False):
        recipe = recipe_for(load_space(path), budget)
        assert each["training.backbone_rate"] == pytest.approx(recipe.backbone_rate)
        assert each["training.final_weight"] == recipe.final_weight
    assert values[1]["training.backbone_rate"] > values[2]["training.backbone_rate"]


def test_a_known_design_that_an_earlier_study_trained_goes_by_its_own_name(folder, first, tmp_path):
    """The space can say one design only, so whatever an earlier study found in it is that one."""
    path = tmp_path / "only.toml"
    path.write_text(
        "version = 1\nbranches = 1\n[placement]\nkind = 'uniform'\n[branch]\non = true\nstructure = 'pool_fc'\n"
        "pool = 'avg'\n[training]\nlearning_rate = 0.02\n[policy]\ntarget_macs = 0.5\n"
    )
    for name, trials in (("only", 3), ("only again", 1)):
        go(folder, name, f"search.sampler={'tpe' if name == 'only' else 'random'}", space=path, trials=trials)
        origins = [origin for origin, _ in queued(folder, name)]
        assert any(origin.startswith("known: uniform") for origin in origins)
        assert len(origins) == len(set(origins))


def test_a_study_goes_on_whatever_it_is_told_of_earlier_ones(folder, second):
    again, _ = go(folder, "second", "search.sampler=random", "bank.earlier=1")
    assert again.trials == second[0].trials

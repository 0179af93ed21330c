"""Proposals of one worker, of a resumed one and of several at once."""

from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from eenas.designs.proposal import draw
from eenas.designs.space import load_space
from eenas.records.database import Database
from eenas.study.samplers import build_sampler
from eenas.study.settings.study_spec import load_settings
from eenas.study.study import open_storage, open_study

SAMPLERS = ("tpe", "nsgaii", "nsgaiii", "gp", "random")


SPACE = load_space("small")


def worker(folder, sampler="random", *, seed=0, name="study"):
    """A study as a worker opens it, through a connection of its own."""
    overrides = (f"search.sampler={sampler}", "search.objectives=['accuracy', 'macs']")
    settings, _ = load_settings(backbone="cifar_resnet20", space="small", seed=seed, overrides=overrides)
    return open_study(open_storage(Database(f"sqlite:///{folder}/eenas.db")), name, settings)


def proposals(study, count):
    """So many proposals of the space `small`, with scores that tell each from the others."""
    found = []

    def objective(trial):
        def suggest(name, domain):
            values = domain.values()
            if values is not None:
                return trial.suggest_categorical(name, list(values))
            return trial.suggest_float(name, domain.low, domain.high, log=domain.log)

        found.append(draw(SPACE, suggest))
        target = found[-1]["policy.target_macs"]
        return target**0.5, target

    study.optimize(objective, n_trials=count)
    return found


def targets(found):
    return {proposal["policy.target_macs"] for proposal in found}


def test_workers_that_start_together_never_draw_alike(tmp_path):
    workers = [worker(tmp_path), worker(tmp_path)]  # both find no trial yet
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda study: proposals(study, 12), workers)
    assert len(targets(one) | targets(two)) == 24


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_study_goes_on_as_if_it_had_not_stopped(tmp_path, sampler):
    """The first ten are drawn at random; the last two are what the sampler learnt of them."""
    whole = proposals(worker(tmp_path, sampler, name="whole"), 12)
    parts = [worker(tmp_path, sampler, name="parts") for _ in range(2)]
    assert [each for study in parts for each in proposals(study, 6)] == whole
    assert len(targets(whole)) > 6


def test_another_seed_draws_otherwise(tmp_path):
    one, two = (worker(tmp_path, seed=seed, name=str(seed)) for seed in (0, 1))
    assert not targets(proposals(one, 3)) & targets(proposals(two, 3))


def test_trials_that_are_open_at_once_draw_what_each_would_alone():
    together, alone = (optuna.create_study(sampler=build_sampler("random", 0)) for _ in range(2))
    both = [together.ask(), together.ask()]
    interleaved = [[trial.suggest_float(name, 0.0, 1.0) for trial in both] for name in "abc"]
    one, two = ([trial.suggest_float(name, 0.0, 1.0) for name in "abc"] for trial in (alone.ask(), alone.ask()))
    assert interleaved == [list(pair) for pair in zip(one, two, strict=True)]
    assert len({*one, *two}) == 6

"""The time of a search counts from the start of its command, and each command gets on from the one before."""

import pytest
import safetensors.torch
import torch

from eenas.errors import TimeOverError
from eenas.progress import Finished, Notice, Started
from eenas.study.context.stages import Stages
from eenas.study.settings.time_limit import TimeLimit
from eenas.training.checkpoints import Checkpoint
from tests.smallest_study import SETTINGS, run_search

AT_ONCE = 1e-6


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_it_says_what_took_the_time():
    clock, heard = Clock(), []
    limit = TimeLimit(5.0, started=98.0, clock=clock)
    hear = limit.hearing(heard.append)
    clock.now += 1
    hear(Started("measuring"))
    limit.check()
    clock.now += 4.25
    hear(Finished("measuring"))
    said = r"the time limit of 5 s ended before a trial finished \(3.0 s loading, 4.2 s measuring\).*rerun the command"
    with pytest.raises(TimeOverError, match=said):
        limit.check()
    assert heard == [Started("measuring"), Finished("measuring")]
    assert limit.left() == pytest.approx(-2.25)
    limit.lift()
    limit.check()


def test_without_a_limit_nothing_ends():
    limit = TimeLimit(clock=Clock())
    assert limit.left() is None
    limit.check()


def go(folder, **options):
    overrides = (*SETTINGS, *options.pop("overrides", ()))
    return run_search(folder, **{"trials": 1, "overrides": overrides, **options})


def artifacts(folder, kind):
    """What the artifacts of a kind hold, by name but for what is drawn at random in it."""
    found = {}
    for path in sorted((folder / "eenas.artifacts").glob(f"{kind}-*.safetensors")):
        found["-".join(path.stem.split("-")[:2])] = safetensors.torch.load_file(path)
    return found


def same(one, other):
    assert one.keys() == other.keys()
    assert one
    for name, tensors in one.items():
        assert tensors.keys() == other[name].keys()
        assert all(torch.equal(value, other[name][key]) for key, value in tensors.items()), name


QUICK = ("prepare.training.epochs=0.3", "training.epochs=0.3", "bank.branches=3", "baselines.static=1")


def test_each_command_gets_on_from_the_one_before_to_the_same_result(tmp_path, monkeypatch):
    """The time is over at the n-th look at it, which comes after every step and every part that is kept."""
    whole = go(made(tmp_path / "whole"), overrides=QUICK)
    real, cut, reached = TimeLimit.check, made(tmp_path / "cut"), set()
    for looks in (2, 4, 7, 9, 4):
        left, heard = [looks], []

        def check(limit, left=left):
            left[0] -= 1
            if left[0] <= 0:
                real(limit)

        with monkeypatch.context() as patch:
            patch.setattr(TimeLimit, "check", check)
            with pytest.raises(TimeOverError, match="before a trial finished"):
                go(cut, timeout=AT_ONCE, listener=heard.append, overrides=QUICK)
        reached |= {event.phase for event in heard if isinstance(event, Started)}
    assert {"measuring the backbone", "training the backbone", "training branches for the bank"} <= reached
    found = go(cut, overrides=QUICK)
    assert found.trials[0].exit_accuracy == whole.trials[0].exit_accuracy
    assert found.backbone.accuracy == whole.backbone.accuracy
    assert [(each.name, each.parameters) for each in found.networks] == [
        (each.name, each.parameters) for each in whole.networks
    ]
    for kind in ("backbone", "branch"):
        same(artifacts(cut, kind), artifacts(tmp_path / "whole", kind))
    assert not list((cut / "eenas.artifacts").glob("*.pt"))


def test_checkpoints_of_a_command_that_was_killed_when_all_was_kept_go_with_the_next(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "remove", lambda checkpoint: None)
        patch.setattr(Stages, "remove", lambda stages: None)
        done = go(made(tmp_path / "study"), overrides=QUICK)
    left = list((tmp_path / "study" / "eenas.artifacts").glob("*.pt"))
    assert {path.name.partition("-")[0] for path in left} >= {"prepare", "bank"}
    assert go(tmp_path / "study", overrides=QUICK).trials == done.trials
    assert not [path for path in (tmp_path / "study" / "eenas.artifacts").glob("*.pt") if "static" not in path.name]


def test_time_that_is_over_before_the_first_trial_is_said_and_later_trials_are_an_answer(tmp_path):
    done = go(made(tmp_path / "study"), overrides=QUICK)
    heard = []
    again = go(tmp_path / "study", overrides=QUICK, trials=2, timeout=AT_ONCE, listener=heard.append)
    assert again.trials == done.trials
    assert Notice("the time limit is reached after 1 of 2 trials") in heard


def made(folder):
    folder.mkdir()
    return folder

"""The plain backbone's training: its rate, where it ends, what is kept of each round, and going on."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from eenas.progress import Advanced, Finished, Notice, Started
from eenas.study.context.backbone import backbone_training as module
from eenas.study.context.backbone.backbone_training import PHASE, HeldOut, attempt, train_plain
from eenas.study.context.stages import Stages
from eenas.training.trainer import Verdict
from tests.smallest_study import SETTINGS, study_context, url


@pytest.fixture
def heard():
    return []


@pytest.fixture
def context(tmp_path, heard):
    made = study_context(url(tmp_path), (*SETTINGS, "prepare.learning_rate=0.02"), listener=heard.append)
    heard.clear()
    return made


@pytest.fixture
def stages(context):
    return Stages(context, "key")


@pytest.fixture
def training(monkeypatch):
    """What stands for training: rounds whose network says what the test wants; the calls are kept."""
    seen = SimpleNamespace(calls=[], verdicts=[], rounds=3)

    def train_network(network, task, plan, *, after_epoch, checkpoint):
        seen.calls.append(SimpleNamespace(task=task, plan=plan, checkpoint=checkpoint))
        for number in range(1, seen.rounds + 1):
            report = SimpleNamespace(round=number, progress=number / seen.rounds, loss=1.0 / number, network=network)
            seen.verdicts.append(after_epoch(report))
            if seen.verdicts[-1] == Verdict.STOP:
                return

    monkeypatch.setattr(module, "train_network", train_network)
    return seen


def test_all_of_train_is_trained_on_as_the_settings_say(context, stages, training, heard):
    network = context.build(context.plain_design())
    train_plain(context, network, stages)
    train_plain(context, network, stages, 0.1)
    one, slow = training.calls
    assert one.task is context.task
    assert one.plan.choice.strategy == "joint"
    assert (one.plan.choice.learning_rate, one.plan.choice.backbone_rate) == (0.02, 1.0)
    assert slow.plan.choice.learning_rate == pytest.approx(0.002)
    assert one.plan.spec == context.settings.prepare.training
    assert one.plan.seed == slow.plan.seed
    kinds = [type(event) for event in heard]
    assert kinds == [Started, Advanced, Advanced, Advanced, Finished] * 2
    assert {event.phase for event in heard} == {PHASE}


@pytest.mark.parametrize(("rounds", "ran"), [(None, 3), (1, 1), (2, 2)])
def test_it_ends_after_as_many_rounds_as_were_best(context, stages, training, rounds, ran):
    train_plain(context, context.build(context.plain_design()), stages, rounds=rounds)
    assert len(training.verdicts) == ran
    assert training.verdicts[-1] == (Verdict.CONTINUE if rounds is None else Verdict.STOP)


@pytest.fixture
def scored(monkeypatch):
    """Scores that the held-out samples get one after another: (right of 10, loss)."""
    found = []

    def of(logits, labels):
        right, loss = found.pop(0)
        return HeldOut(np.arange(10) < right, loss)

    monkeypatch.setattr(HeldOut, "of", of)
    return found


def test_of_an_attempt_the_round_with_the_lowest_loss_counts_and_the_first_of_equal_ones(
    context, stages, training, scored
):
    network = context.build(context.plain_design())
    scored += [(5, 0.9), (6, 0.4), (7, 0.4)]
    kept, held = context.task.train.held_out(0.1, 0)
    found = attempt(context, network, replace(context.task, train=kept), held, 0.5, stages)
    assert (found.round, found.scores.loss, found.scores.accuracy) == (2, 0.4, 0.6)
    assert training.calls[0].task.train is kept
    assert training.calls[0].plan.choice.learning_rate == pytest.approx(0.01)
    assert set(training.verdicts) == {Verdict.CONTINUE}, "looking ends nothing"
    again = attempt(context, network, context.task, held, 0.5, stages)
    assert len(training.calls) == 1, "it is kept"
    assert (again.round, again.scores.loss) == (2, 0.4)
    scored += [(9, 0.1)] * 3
    assert attempt(context, network, context.task, held, 1.0, stages).scores.accuracy == 0.9, "another rate is another"


def test_an_attempt_that_was_cut_off_remembers_its_rounds(context, stages, training, scored, monkeypatch):
    network = context.build(context.plain_design())
    _, held = context.task.train.held_out(0.1, 0)
    scored += [(9, 0.2)]
    with pytest.raises(IndexError):  # nothing is scored in the second round
        attempt(context, network, context.task, held, 1.0, stages)
    real = module.train_network

    def goes_on(network, task, plan, *, after_epoch, checkpoint):
        """From the second round, as from a checkpoint."""
        return real(network, task, plan, after_epoch=lambda each: each.round == 1 or after_epoch(each), checkpoint=None)

    monkeypatch.setattr(module, "train_network", goes_on)
    scored += [(5, 0.8), (4, 0.7)]
    found = attempt(context, network, context.task, held, 1.0, stages)
    assert (found.round, found.scores.loss) == (1, 0.2), "of the command that was cut off"


def test_a_checkpoint_that_is_there_is_told(context, stages, training, heard):
    stages.checkpoint("whole").path.write_bytes(b"of before")
    train_plain(context, context.build(context.plain_design()), stages)
    (text,) = [event.text for event in heard if isinstance(event, Notice)]
    assert text.startswith(f"{PHASE}: resuming from ")
    assert training.calls[0].checkpoint.path == stages.checkpoint("whole").path


def test_held_out_samples_are_compared_by_right_answers_and_then_by_loss():
    better, sure, unsure = (HeldOut(np.arange(4) < right, loss) for right, loss in ((3, 0.9), (2, 0.1), (2, 0.5)))
    assert better.beats(sure)
    assert sure.beats(unsure)
    assert not unsure.beats(sure)
    assert not sure.beats(sure)
    found = HeldOut.of(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 0]))
    assert found.correct.tolist() == [True, False]
    assert found.loss == pytest.approx(np.log1p(np.exp(-2.0)) + 1.0)
    again = HeldOut.read(found.to_table())
    assert (again.correct.tolist(), again.loss) == ([True, False], found.loss)

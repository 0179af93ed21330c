"""The training loop: it learns, resumes step for step, stops when asked, and says why it cannot go on."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.load import load_backbone
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed, TrainingChoice
from eenas.errors import DivergedError, OutOfMemoryError, TimeOverError
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.checkpoints import Checkpoint
from eenas.training.distillation import BackboneTeacher, KeptAnswers
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import Verdict, train_network
from tests.smallest_networks import small_design

COSTS = [1.0, 2.0]


@pytest.fixture(scope="module")
def task() -> Task:
    return smallest_task()


def network_for(task, seed=0, static=False):
    torch.manual_seed(0)
    backbone = load_backbone(smallest_backbone(task.num_classes), num_classes=task.num_classes, input_size=8)
    name = backbone.cut_points[0].name
    design = small_design(
        Placed(cut_point=name, branch=PoolFc(pool="avg", size=2)), num_classes=task.num_classes, static=static
    )
    return build_network(design, backbone, seed=seed)


def run(network, task, *, epochs=1.0, rate=0.05, seed=1, **options):
    spec = options.pop("spec", TrainingSpec(epochs=epochs, batch_size=16))
    choice = TrainingChoice(strategy="joint", learning_rate=rate, backbone_rate=1.0, final_weight=1.0)
    plan = TrainingPlan(choice=choice, spec=spec, costs=COSTS, seed=seed, execution=Execution())
    return train_network(network, task, plan, **options)


def accuracy(network, task):
    costs = ExitCosts(Costs.of(macs=np.array(COSTS[: len(network.exits)])), 0)
    return exit_table(network, task.validation, costs).exit_accuracy()


def test_both_exits_learn(task):
    network = network_for(task)
    before = min(accuracy(network, task))
    report = run(network, task, epochs=8)
    assert min(accuracy(network, task)) > max(0.7, before)
    assert report.losses[-1] < report.losses[0]
    assert report.samples == 8 * (len(task.train) // 16 * 16)


def test_the_same_seed_gives_the_same_weights(task):
    weights = []
    for seed in (1, 1, 2):
        network = network_for(task)
        run(network, task, seed=seed)
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_trainings_with_the_same_batches_ask_the_teacher_once_and_end_as_they_would(task, monkeypatch):
    asked = []
    real = BackboneTeacher.__init__

    def counting(self, backbone, kept=None):
        real(self, backbone, kept)
        self.module.register_forward_hook(lambda *_: asked.append(1))

    monkeypatch.setattr(BackboneTeacher, "__init__", counting)
    choice = TrainingChoice(strategy="distillation", teacher="backbone", learning_rate=0.05)

    def weights(taught, seed=1, epochs=2.0):
        network, before = network_for(task), len(asked)
        train_network(
            network,
            task,
            TrainingPlan(
                choice=choice,
                spec=TrainingSpec(epochs=epochs, batch_size=16),
                costs=COSTS,
                seed=seed,
                execution=Execution(),
            ),
            taught=taught,
        )
        return torch.cat([p.detach().flatten() for p in network.parameters()]), len(asked) - before

    taught, steps = KeptAnswers(), 2 * (len(task.train) // 16)
    alone, asked_alone = weights(None)
    first, asked_first = weights(taught)
    second, asked_second = weights(taught)
    assert (asked_alone, asked_first, asked_second) == (steps, steps, 0)
    assert torch.equal(first, alone)
    assert torch.equal(second, alone)
    assert weights(taught, seed=2)[1] == steps  # other batches
    assert weights(taught, epochs=3.0)[1] == steps // 2  # as far as they are the same


@pytest.mark.parametrize("killed_in", [1, 2])  # in the middle of an epoch, and at its end
def test_a_run_that_was_cut_off_ends_with_the_same_weights(task, tmp_path, killed_in):
    whole = network_for(task)
    run(whole, task, epochs=3)
    cut = network_for(task)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")

    class Killed(Exception):
        pass

    def kill(report):
        if report.round == killed_in:
            raise Killed
        return Verdict.CONTINUE

    with pytest.raises(Killed):
        run(cut, task, epochs=3, checkpoint=checkpoint, after_epoch=kill)
    resumed = network_for(task, seed=5)
    report = run(resumed, task, epochs=3, checkpoint=checkpoint)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert report.samples == 3 * (len(task.train) // 16 * 16)


@pytest.mark.parametrize("steps", [1, 7, 15, 20])  # in a round, at its end, in the last one
@pytest.mark.parametrize("epochs", [0.7, 3])
def test_a_run_whose_time_was_over_ends_with_the_same_weights_and_losses(task, tmp_path, steps, epochs):
    def network(seed):
        made = network_for(task, seed=seed)
        made.branches.at(made.branches.names[0]).append(nn.Dropout(0.5))  # draws random numbers in every step
        return made

    whole = network(3)
    report = run(whole, task, epochs=epochs)
    left = [steps]

    def check():
        left[0] -= 1
        if not left[0]:
            raise TimeOverError("over")

    path = tmp_path / "checkpoint.pt"
    through = False
    with contextlib.suppress(TimeOverError):
        run(network(3), task, epochs=epochs, checkpoint=Checkpoint(path, paced=True, check=check))
        through = True
    assert through == (left[0] > 0)
    resumed = network(5)
    again = run(resumed, task, epochs=epochs, checkpoint=Checkpoint(path))
    assert again.losses == report.losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_resumed_run_hears_again_of_the_round_that_may_not_have_been_heard_of(task, tmp_path):
    heard = []

    def stop(report):
        heard.append((report.round, report.loss))
        if len(heard) == 1:
            raise KeyboardInterrupt
        return Verdict.STOP

    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    with pytest.raises(KeyboardInterrupt):
        run(network_for(task), task, epochs=3, checkpoint=checkpoint, after_epoch=stop)
    report = run(network_for(task), task, epochs=3, checkpoint=checkpoint, after_epoch=stop)
    assert report.stopped
    assert heard[0] == heard[1]
    assert len(heard) == 2


def test_brief_budgets_report_every_quarter_and_stop_when_asked(task):
    seen = []

    def stop_at_half(report):
        seen.append(report.progress)
        return Verdict.STOP if report.progress >= 0.5 else Verdict.CONTINUE

    report = run(network_for(task), task, epochs=1, after_epoch=stop_at_half)
    assert report.stopped
    assert len(seen) == 2
    assert report.samples < len(task.train)


def test_a_frozen_backbone_does_not_move(task):
    network = network_for(task)
    network.freeze_backbone()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(network, task, epochs=2)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("backbone."))
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("branches."))


def test_a_static_network_trains_only_what_it_reaches(task):
    network = network_for(task, static=True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train_network(
        network,
        task,
        TrainingPlan(
            choice=TrainingChoice(learning_rate=0.05),
            spec=TrainingSpec(epochs=6, batch_size=16),
            costs=[1.0],
            seed=0,
            execution=Execution(),
        ),
    )
    unreached = [key for key, value in network.named_parameters() if not value.requires_grad]
    assert unreached
    assert all(torch.equal(before[key], network.state_dict()[key]) for key in unreached)
    assert accuracy(network, task)[0] > 0.6


def test_a_static_network_may_be_taught_by_the_backbone(task, monkeypatch):
    asked = []
    real = BackboneTeacher.answers
    monkeypatch.setattr(BackboneTeacher, "answers", lambda self, x, batch=None: asked.append(1) or real(self, x, batch))
    network = network_for(task, static=True)
    choice = TrainingChoice(strategy="distillation", teacher="backbone", learning_rate=0.05, backbone_rate=1.0)
    assert replace(network.design, training=choice).canonical().training == choice
    assert replace(network.design, static=False, branches=(), training=choice).canonical().training.strategy == "joint"
    spec = TrainingSpec(epochs=6, batch_size=16)
    train_network(network, task, TrainingPlan(choice=choice, spec=spec, costs=[1.0], seed=0, execution=Execution()))
    assert asked
    assert accuracy(network, task)[0] > 0.6


def test_a_loss_that_is_not_finite_is_an_error_with_the_fix(task):
    with pytest.raises(DivergedError, match="lower the learning rate"):
        run(network_for(task), task, rate=1e9, spec=TrainingSpec(epochs=4, batch_size=16, clip=0.0))


def test_lack_of_memory_is_an_error_with_the_fix(task):
    network = network_for(task)

    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    network.backbone = Greedy()
    network.branches.names = ()
    with pytest.raises(OutOfMemoryError, match="batch_size=16"):
        run(network, task)


def test_channels_last_gives_the_same_loss(task):
    reports = []
    for order in (False, True):
        network = network_for(task)
        reports.append(
            train_network(
                network,
                task,
                TrainingPlan(
                    choice=TrainingChoice(learning_rate=0.01),
                    spec=TrainingSpec(samples=64, batch_size=16),
                    costs=COSTS,
                    seed=0,
                    execution=Execution(channels_last=order),
                ),
            )
        )
    np.testing.assert_allclose(reports[0].losses, reports[1].losses, rtol=1e-4)


def without_statistics(task):
    """A network whose samples do not influence each other, so a batch in parts has the same gradient."""
    network = network_for(task)
    network.freeze_backbone()
    return network


@pytest.mark.parametrize(
    "choice", [{"loss_weights": "uncertainty"}, {"strategy": "distillation"}, {"strategy": "joint"}]
)
def test_a_batch_in_micro_batches_trains_as_one_batch(task, choice):
    found = []
    for micro in (None, 7, 3):
        network = without_statistics(task)
        spec = TrainingSpec(epochs=2, batch_size=16, micro_batch_size=micro, augment=False)
        training = TrainingChoice(**{"strategy": "joint", "learning_rate": 0.05, **choice})
        plan = TrainingPlan(choice=training, spec=spec, costs=COSTS, seed=1, execution=Execution())
        report = train_network(network, task, plan)
        found.append((torch.cat([each.flatten() for each in network.branches.parameters()]), report))
    (whole, first), *others = found
    for weights, report in others:
        assert torch.allclose(weights, whole, atol=1e-6, rtol=1e-5)
        assert report.samples == first.samples
        assert report.losses == pytest.approx(first.losses, abs=1e-5)

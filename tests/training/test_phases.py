"""Strategies at work: what each one is for holds on the smallest task, and no phase does more than it asks for."""

import numpy as np
import pytest
import torch
from torch import nn

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.designs.training_choice import TrainingChoice
from eenas.errors import TrainingError
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.seeding import seeded
from eenas.testing.smallest import SIZE, smallest_task
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import Verdict, train_network
from tests.smallest_networks import loaded, small_design

COSTS = [1.0, 2.0, 3.0]


@pytest.fixture(scope="module")
def task():
    return smallest_task()


@pytest.fixture(scope="module")
def prepared(task):
    """A backbone that has learnt the task."""
    with seeded(0):
        backbone = loaded()
    network = build_network(small_design(size=SIZE), backbone)
    train(network, task, epochs=6)
    backbone.module.load_state_dict(network.backbone.state_dict())
    return backbone


def build(backbone, **values):
    names = [point.name for point in backbone.cut_points]
    placed = tuple(Placed(names[position], PoolFc(pool="avg", size=2)) for position in (0, 2))
    choice = TrainingChoice(**{"learning_rate": 0.05, **values})
    design = small_design(*placed, size=SIZE, training=choice)
    return build_network(design, backbone)


def train(network, task, *, epochs=4.0, **options):
    return train_network(
        network,
        task,
        TrainingPlan(
            choice=options.pop("choice", network.design.training),
            spec=TrainingSpec(epochs=epochs, batch_size=16),
            costs=COSTS[: len(network.exits)],
            seed=1,
            execution=Execution(),
        ),
        **options,
    )


def accuracy(network, task, split="validation"):
    costs = ExitCosts(Costs.of(macs=np.array(COSTS[: len(network.exits)])), 0)
    return exit_table(network, task.split(split), costs).exit_accuracy()


@pytest.mark.parametrize(
    "values",
    [
        {"strategy": "two_stage"},
        {"strategy": "branch_wise"},
        {"strategy": "distillation", "teacher": "backbone", "weight_average": 0.9, "backbone_rate": 0.1},
        {"strategy": "hybrid", "hybrid": "alternating"},
        {"loss_weights": "boosted"},
    ],
)
def test_all_exits_learn(values, task, prepared):
    network = build(prepared, **values)
    before = accuracy(network, task)
    train(network, task, epochs=5)
    after = accuracy(network, task)
    assert min(after) > 0.6
    assert all(now > then for now, then in zip(after[:-1], before[:-1], strict=True))
    assert after[-1] > before[-1] - 0.1


def test_two_stages_leave_the_final_exit_as_it_was(task, prepared):
    network = build(prepared, strategy="two_stage")
    x = torch.randn(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    before = network.eval()(x)[-1]
    train(network, task, epochs=1)
    assert torch.equal(network(x)[-1], before)


class Counter(nn.Module):
    """Counts how often it runs, and whether what goes through it has a graph."""

    def __init__(self):
        super().__init__()
        self.runs, self.graphs = 0, 0

    def forward(self, x):
        self.runs += 1
        self.graphs += x.requires_grad
        return x


def counted(prepared, **values):
    """A network with counters: at its input, at the second cut point, behind it, and behind the first branch."""
    network = build(prepared, **values)
    counters = [Counter() for _ in range(4)]
    for block, counter in zip((0, 2, 3), counters[:3], strict=True):
        network.backbone[block].append(counter)
    branch = network.branches.at("0")
    network.branches._modules["0"] = nn.Sequential(branch, counters[3])
    return network, counters


def test_branches_alone_need_no_graph_in_the_backbone_and_nothing_behind_the_last_branch(task, prepared):
    network, (first, second, behind, branch) = counted(prepared, strategy="two_stage")
    report = train(network, task, epochs=1)
    steps = report.samples // 16
    assert (first.runs, second.runs, behind.runs, branch.runs) == (steps, steps, 0, steps)
    assert (first.graphs, second.graphs) == (0, 0)


def test_a_part_runs_no_further_than_its_exit_and_learns_only_there(task, prepared):
    network, (first, second, behind, branch) = counted(prepared, strategy="branch_wise")
    train(network, task, epochs=3)
    steps = 45 // 3
    assert (first.runs, second.runs, behind.runs) == (3 * steps, 2 * steps, steps)
    assert (first.graphs, second.graphs, branch.runs) == (steps, steps, steps)


def test_steps_with_the_final_loss_alone_run_no_branch(task, prepared):
    network, (first, _, _, branch) = counted(prepared, strategy="hybrid", hybrid="alternating")
    train(network, task, epochs=2)
    assert (first.runs, branch.runs) == (30, 15)


def test_reports_name_the_phase_and_progress_rises(task, prepared):
    seen = []

    def note(report):
        seen.append((report.phase, report.progress))
        return Verdict.CONTINUE

    network = build(prepared, strategy="hybrid", hybrid="mixed")
    report = train(network, task, epochs=3, after_epoch=note)
    names, progress = zip(*seen, strict=True)
    assert list(dict.fromkeys(names)) == ["backbone", "joint"]
    assert list(progress) == sorted(progress)
    assert progress[-1] == 1.0
    assert report.samples == 45 * 16


def test_patience_ends_a_phase_and_saves_its_budget(task, prepared):
    seen = []

    def note(report):
        seen.append(report)
        return Verdict.CONTINUE

    # Nothing gains at a rate this small: each phase ends after its first round and as many as are waited for.
    choice = {"strategy": "hybrid", "hybrid": "joint_distillation", "learning_rate": 1e-12, "patience": 1}
    network = build(prepared, **choice, loss_weights="equal", backbone_rate=0.0)
    report = train(network, task, epochs=20, after_epoch=note)
    assert [each.phase for each in seen] == ["joint"] * 2 + ["distillation"] * 2
    assert [each.progress for each in seen][1::2] == [0.5, 1.0]
    samples = len(task.train.held_out()[0]) // 16 * 16
    assert report.samples == 4 * samples
    assert not report.stopped


def test_without_patience_all_of_train_is_trained_on(task, prepared):
    assert train(build(prepared), task, epochs=1).samples == len(task.train) // 16 * 16


def test_a_report_shows_the_averaged_weights_that_training_would_end_with(task, prepared):
    last = {}

    def keep(report):
        last.clear()
        last.update({name: value.clone() for name, value in report.network.state_dict().items()})
        return Verdict.STOP if report.round == 2 else Verdict.CONTINUE

    network = build(prepared, weight_average=0.9)
    assert train(network, task, after_epoch=keep).stopped
    assert all(torch.equal(value, last[name]) for name, value in network.state_dict().items())


def test_a_teacher_pulls_the_exits_towards_the_backbone_as_it_was(task, prepared):
    def divergence(**values):
        network = build(prepared, **values)
        train(network, task, epochs=2)
        costs = ExitCosts(Costs.of(macs=np.array(COSTS)), 0)
        logits = torch.tensor(exit_table(network, task.validation, costs).logits)
        plain = build(prepared)
        wanted = torch.tensor(exit_table(plain, task.validation, costs).logits[:, -1]).softmax(1)
        return float(sum((wanted * (wanted.log() - logits[:, k].log_softmax(1))).sum(1).mean() for k in range(3)))

    taught = divergence(strategy="distillation", distillation_weight=1.0)
    assert taught < 0.8 * divergence(strategy="joint")


def test_a_network_in_which_nothing_is_trained_is_left_as_it_was(task, prepared):
    design = small_design(size=SIZE, training=TrainingChoice(backbone_rate=0.0))
    network = build_network(design, prepared)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    report = train(network, task, epochs=1)
    assert (report.samples, report.losses) == (0, ())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_boosting_is_the_networks_own_affair(task, prepared):
    network = build(prepared)
    with pytest.raises(TrainingError, match="use the value of its design"):
        train(network, task, choice=TrainingChoice(loss_weights="boosted"))


def test_losses_of_the_branches_own_are_added(task, prepared):
    class Own(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.seen = inner, 0

        def forward(self, x):
            self.last = self.inner(x)
            return self.last

        def auxiliary_loss(self, labels):
            assert len(labels) == len(self.last)
            self.seen += 1
            return self.last.square().mean() * 100

    sizes = {}
    for own in (False, True):
        network = build(prepared, strategy="hybrid", hybrid="two_stage_joint")
        branch = network.branches.at("2")
        if own:
            network.branches._modules["2"] = Own(branch)
        train(network, task, epochs=2)
        costs = ExitCosts(Costs.of(macs=np.array(COSTS)), 0)
        sizes[own] = float(np.abs(exit_table(network, task.validation, costs).logits[:, 1]).mean())
        if own:
            assert network.branches.at("2").seen == 30
    assert sizes[True] < 0.2 * sizes[False]

"""Candidate branches: trained at once on a frozen backbone, each as if it were alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.fc import Fc
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import TimeOverError, TrainingError
from eenas.frozen.candidates import Candidates, CandidateTraining, candidate_logits, candidate_table, train_candidates
from eenas.frozen.candidates_checkpoint import CandidatesCheckpoint
from eenas.measurement.profile import Profile
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.costs import Costs
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.checkpoints import Checkpoint
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec
from tests.smallest_networks import small_design

SPEC = TrainingSpec(epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def task() -> Task:
    return smallest_task()


@pytest.fixture(scope="module")
def backbone(task: Task) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return load_backbone(smallest_backbone(task.num_classes), num_classes=task.num_classes, input_size=8)


def three(backbone: Backbone) -> tuple[Placed, ...]:
    """A branch with dropout, another structure at the same cut point, and one before."""
    first, second = (point.name for point in backbone.cut_points[1:3])
    return Placed(first, Fc()), Placed(second, Mlp(width=16)), Placed(second, PoolFc(pool="avg", size=2))


def trained(backbone: Backbone, task: Task, placed: tuple[Placed, ...], seed: int = 1) -> Candidates:
    candidates = Candidates(backbone, placed)
    train_candidates(
        candidates, task.train, training=CandidateTraining(spec=SPEC, seed=seed, flip=task.flip, execution=Execution())
    )
    return candidates


def _losses(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The cross-entropy of each exit."""
    chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return np.asarray(-np.log(chances[np.arange(len(labels)), :, labels]).mean(axis=0))


def test_all_learn_and_the_backbone_does_not(backbone: Backbone, task: Task) -> None:
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    candidates = trained(backbone, task, three(backbone))
    for name, value in candidates.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module.training for module in candidates.train().backbone.modules())
    logits = candidate_logits(candidates, task.validation)
    assert logits.shape == (len(task.validation), 4, task.num_classes)
    untrained = candidate_logits(Candidates(backbone, three(backbone)), task.validation)
    losses, losses_before = (_losses(each, task.validation.labels) for each in (logits, untrained))
    assert (losses[:3] < losses_before[:3]).all()
    assert (logits[:, 0].argmax(axis=1) == task.validation.labels).mean() > 0.6
    assert losses[3] == losses_before[3]


@pytest.mark.parametrize("steps", [1, 15, 20])  # in the first epoch, at its end, in the second one
def test_a_training_whose_time_was_over_goes_on_branch_by_branch(
    backbone: Backbone, task: Task, tmp_path: Path, steps: int
) -> None:
    placed, left = three(backbone), [steps]

    def check() -> None:
        left[0] -= 1
        if not left[0]:
            raise TimeOverError("over")

    def go_on(names: str, kept: Checkpoint, seed: int = 7) -> Candidates:
        candidates = Candidates(backbone, [placed["abc".index(name)] for name in names], seed=seed)
        train_candidates(
            candidates,
            task.train,
            training=CandidateTraining(spec=SPEC, seed=1, flip=task.flip, execution=Execution()),
            checkpoint=CandidatesCheckpoint(kept, names),
        )
        return candidates

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(TimeOverError):
        go_on("abc", Checkpoint(path, paced=True, check=check), seed=0)
    whole, resumed, two = trained(backbone, task, placed), go_on("abc", Checkpoint(path)), go_on("ca", Checkpoint(path))
    for name, value in whole.branches.state_dict().items():
        assert torch.equal(value, resumed.branches.state_dict()[name]), name
    ours, theirs = (candidate_logits(each, task.validation) for each in (two, whole))
    assert np.allclose(ours[:, :2], theirs[:, [2, 0]], atol=1e-4)


def test_a_branch_becomes_the_same_whatever_stands_beside_it(backbone: Backbone, task: Task) -> None:
    placed = three(backbone)
    together = candidate_logits(trained(backbone, task, placed), task.validation)
    for index, each in enumerate(placed):
        alone = candidate_logits(trained(backbone, task, (each,)), task.validation)
        assert np.allclose(alone[:, 0], together[:, index], atol=1e-4), each
        assert np.array_equal(alone[:, 1], together[:, 3])
    assert not np.allclose(candidate_logits(trained(backbone, task, placed, seed=2), task.validation), together)


def test_first_weights_and_features_are_those_of_a_network(backbone: Backbone, task: Task) -> None:
    placed = three(backbone)[:2]
    design = small_design(*placed, num_classes=task.num_classes)
    network = build_network(design, backbone, seed=0)
    table = exit_table(network, task.validation, ExitCosts(Costs.of(macs=np.array([1.0, 2.0, 3.0])), 0))
    assert np.allclose(candidate_logits(Candidates(backbone, placed), task.validation), table.logits, atol=1e-5)


def test_the_table_counts_decisions(backbone: Backbone, task: Task) -> None:
    placed = three(backbone)
    points = backbone.cut_points
    profile = Profile(
        backbone="smallest",
        cut_points=points,
        macs=tuple(100 * (index + 1) for index in range(len(points))),
        total_macs=1000,
        parameters=(1,) * len(points),
        total_parameters=1,
    )
    logits = np.zeros((5, 4, task.num_classes), dtype=np.float32)
    labels = np.zeros(5, dtype=np.int64)
    table = candidate_table(placed, logits, labels, profile=profile, branch_macs=[10, 20, 30])
    assert table.backbone_macs.tolist() == [200, 300, 300, 1000]
    assert table.branch_macs.tolist() == [14, 24, 34]
    with pytest.raises(TrainingError, match="3 candidates need as many branch_macs, got 1"):
        candidate_table(placed, logits, labels, profile=profile, branch_macs=[10])


def test_a_loss_that_is_not_finite_ends_that_branch_alone(backbone: Backbone, task: Task) -> None:
    candidates, alone = Candidates(backbone, three(backbone)[::2]), Candidates(backbone, three(backbone)[:1])
    with torch.no_grad():
        next(candidates.branches[1].parameters()).fill_(float("nan"))
    reports = [
        train_candidates(
            each, task.train, training=CandidateTraining(spec=SPEC, seed=1, flip=False, execution=Execution())
        )
        for each in (candidates, alone)
    ]
    assert [report.diverged for report in reports] == [(1,), ()]
    assert reports[0].samples == reports[1].samples > 0
    for own, other in zip(candidates.branches[0].parameters(), alone.branches[0].parameters(), strict=True):
        assert torch.equal(own, other)
